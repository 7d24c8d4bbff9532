// Preloaded into a process: its wall clock is KYCONNECT_TEST_SHIFT_MS ahead, and its monotonic clock and its intervals are
// KYCONNECT_TEST_SPEED times as fast.
const shiftMs = Number(process.env.KYCONNECT_TEST_SHIFT_MS ?? 0)
const speed = BigInt(process.env.KYCONNECT_TEST_SPEED ?? 1)
const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shiftMs)
    else super(...args)
  }
  static now() {
    return RealDate.now() + shiftMs
  }
}
const hrtime = process.hrtime.bigint
process.hrtime.bigint = () => hrtime() * speed
const realInterval = setInterval
globalThis.setInterval = (work, milliseconds, ...rest) => realInterval(work, milliseconds / Number(speed), ...rest)
