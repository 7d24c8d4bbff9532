// A program that calls its App 50 times a second with openIdentity, and counts. Run it with --expose-gc.
// Arguments: the home, the number of renewals to see, milliseconds after which it ends anyway.
import { readdirSync } from 'node:fs'
import { openIdentity } from '../../dist/index.js'

const [home, renewalsWanted, limitMs] = process.argv.slice(2)
const intervalMs = 20
const maxRunning = 50

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const descriptors = () => readdirSync('/proc/self/fd').length
const heapBytes = () => {
  globalThis.gc()
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

const renewals = []
const failures = []
const statuses = {}
const errors = []
const samples = []
let calls = 0
let running = 0

const startDescriptors = descriptors()
const identity = await openIdentity({
  store: home,
  onRenewed: ({ fingerprint }) => renewals.push(fingerprint),
  onError: (error) => errors.push(String(error)),
})
const first = identity.certificate.fingerprint

async function call() {
  calls++
  running++
  try {
    const response = await identity.fetch('metadata')
    await response.json()
    statuses[response.status] = (statuses[response.status] ?? 0) + 1
  } catch (error) {
    failures.push(`${calls} ${error} ${error.cause ?? ''} ${JSON.stringify(error.details ?? {})}`)
  } finally {
    running--
  }
}

const start = performance.now()
let sampled = -1
while (renewals.length < Number(renewalsWanted) && performance.now() - start < Number(limitMs)) {
  // A slow machine makes fewer calls, not more of them at a time.
  if (running < maxRunning) void call()
  await sleep(intervalMs)
  if (renewals.length > sampled) {
    sampled = renewals.length
    samples.push({ heap: heapBytes(), descriptors: descriptors() })
  }
}
// Some calls with the last certificate.
for (let more = 0; more < 50; more++) {
  void call()
  await sleep(intervalMs)
}
while (running > 0) await sleep(intervalMs)
const seconds = (performance.now() - start) / 1000
samples.push({ heap: heapBytes(), descriptors: descriptors() })
await identity.close()
await sleep(500)
console.log(
  JSON.stringify({
    calls,
    seconds,
    statuses,
    failures,
    errors,
    fingerprints: [first, ...renewals],
    samples,
    startDescriptors,
    endDescriptors: descriptors(),
  }),
)
