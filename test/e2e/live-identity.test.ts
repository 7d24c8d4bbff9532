import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { kyconnect, program, root, run, start } from '../support/kyconnect.js'
import { startSandboxProcess } from '../support/sandbox.js'

/** How many renewals to see: 3 take about 50 s, and 10 (CONTRIBUTING.md) about 140 s. */
const renewals = Number(process.env['KYCONNECT_RENEWALS'] ?? 3)
const limitMs = 60_000 + renewals * 25_000

interface Report {
  readonly calls: number
  readonly seconds: number
  readonly statuses: Readonly<Record<string, number>>
  readonly failures: readonly string[]
  readonly errors: readonly string[]
  readonly fingerprints: readonly string[]
  /** At the start, after each renewal, and at the end. */
  readonly samples: readonly { readonly heap: number; readonly descriptors: number }[]
  readonly startDescriptors: number
  readonly endDescriptors: number
}

/** Pairs with a sandbox whose certificates live 20 s, and lets a program call through several renewals. */
async function callThroughRenewals(alongside: (home: string, over: Promise<unknown>) => Promise<void>): Promise<void> {
  const seen = new Map<string, number>()
  const refused: string[] = []
  const [folder, sandbox] = await Promise.all([
    temporaryFolder('live'),
    startSandboxProcess(['--validity', '20s', '--log'], (line) => {
      const [, , , path = '', status = '', , client] = line.split(' ')
      if (!path.startsWith('/demo/')) return
      if (status !== '200') refused.push(line)
      if (client !== undefined) seen.set(client, (seen.get(client) ?? 0) + 1)
    }),
  ])
  try {
    const home = join(folder.path, 'home')
    const paired = await kyconnect(['pair', '--url', '-'], {
      env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
      input: await sandbox.tokenUrl(),
    })
    expect(paired.code, paired.stderr).toBe(0)
    const busy = run(
      process.execPath,
      ['--expose-gc', join(root, 'test/support/busy-program.js'), home, String(renewals), String(limitMs)],
      { limit: limitMs + 60_000 },
    )
    const [done] = await Promise.all([busy, alongside(home, busy)])
    expect(done.code, done.stderr).toBe(0)
    const report = JSON.parse(done.stdout) as Report
    if (process.env['KYCONNECT_RENEWALS'] !== undefined) process.stderr.write(`${summary(report, seen)}\n`)

    expect({ refused, failures: report.failures, errors: report.errors }).toEqual({
      refused: [],
      failures: [],
      errors: [],
    })
    expect(report.statuses).toEqual({ 200: report.calls })
    expect(new Set(report.fingerprints).size).toBeGreaterThan(renewals)
    // The sandbox saw every certificate at work.
    expect([...seen.keys()].sort()).toEqual(report.fingerprints.map((fingerprint) => fingerprint.slice(0, 16)).sort())
    expectNoGrowth(report)
  } finally {
    await sandbox.stop()
    await folder.remove()
  }
}

/** The first renewal loads what a renewal needs; after it, neither memory nor descriptors grow. */
function expectNoGrowth({ samples, startDescriptors, endDescriptors }: Report): void {
  const [, afterFirst, ...later] = samples
  const last = later.at(-1)
  if (afterFirst === undefined || last === undefined) throw new Error('too few renewals to compare')
  expect(last.heap - afterFirst.heap, JSON.stringify(samples)).toBeLessThan(4 * 1024 * 1024)
  // Two pools of 8 connections while one certificate follows another.
  for (const { descriptors } of samples) expect(descriptors).toBeLessThan(startDescriptors + 16 + 8)
  expect(endDescriptors).toBeLessThanOrEqual(startDescriptors + 8)
}

function summary(
  { calls, seconds, samples, startDescriptors, endDescriptors }: Report,
  seen: Map<string, number>,
): string {
  const heap = samples.map(({ heap }) => (heap / 1024 / 1024).toFixed(1)).join(' ')
  const open = samples.map(({ descriptors }) => descriptors).join(' ')
  return [
    `${calls} calls in ${seconds.toFixed(1)} s, ${seen.size} certificates (calls with each: ${[...seen.values()].join(' ')})`,
    `heap in MiB: ${heap}; descriptors: ${startDescriptors} before, ${open}, ${endDescriptors} after`,
  ].join('\n')
}

test(
  'a program that calls 50 times a second renews the certificate itself, and no call is refused',
  () => callThroughRenewals(() => Promise.resolve()),
  limitMs + 90_000,
)

test(
  'a program that calls 50 times a second follows the renewals of the daemon, and neither grows',
  () =>
    callThroughRenewals(async (home, over) => {
      // It is due for the daemon before it is for the program.
      const daemon = start(process.execPath, [program, 'renew', '--daemon', '--expires-in', '60%', '--json'], {
        env: { KYCONNECT_HOME: home },
        limit: limitMs + 80_000,
      })
      const samples: { descriptors: number; residentKiB: number }[] = []
      const isOver = over.then(() => true)
      while (!(await Promise.race([isOver, sleep(2000).then(() => false)])))
        samples.push(await measure(daemon.child.pid))
      daemon.child.kill('SIGTERM')
      const { code, stdout, stderr } = await daemon.end
      expect(code, stderr).toBe(143)
      const renewed = stdout.split('\n').filter((line) => line.includes('"renewed"'))
      expect(renewed.length, stdout).toBeGreaterThanOrEqual(renewals)
      if (process.env['KYCONNECT_RENEWALS'] !== undefined)
        process.stderr.write(`${renewed.length} renewals by the daemon: ${JSON.stringify(samples)}\n`)
      // After a third of the time it has loaded what it needs.
      const settled = samples.slice(Math.floor(samples.length / 3))
      const [first, last] = [settled[0], settled.at(-1)]
      if (first === undefined || last === undefined) throw new Error('too few samples to compare')
      expect(last.descriptors, JSON.stringify(samples)).toBeLessThanOrEqual(first.descriptors + 8)
      expect(last.residentKiB, JSON.stringify(samples)).toBeLessThan(first.residentKiB + 60 * 1024)
    }),
  limitMs + 90_000,
)

async function measure(pid = 0): Promise<{ descriptors: number; residentKiB: number }> {
  const [open, status] = await Promise.all([readdir(`/proc/${pid}/fd`), readFile(`/proc/${pid}/status`, 'utf8')])
  return { descriptors: open.length, residentKiB: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) }
}
