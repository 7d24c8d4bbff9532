import type { ServerResponse } from 'node:http'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, type Faults, startFakeKyma } from '../support/fake-kyma.js'
import { hostileAnswers } from '../support/hostile-answers.js'
import { kyconnect, program, type Run, start } from '../support/kyconnect.js'

/** Seconds that the program may wait for an answer. */
const timeout = 2
const someCertificate = Buffer.alloc(100).toString('base64')
const names = hostileAnswers(someCertificate).map(({ name }) => name)
/** `call` passes on what keeps coming, however slowly: only an idle connection, 1 GiB, an hour or Ctrl-C ends it. */
const streamed = new Set(['a body that arrives byte by byte', 'a chunked body without an end'])

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** Milliseconds that a run takes here when all goes well: how busy this machine is. */
let usualMs = 0
let answers: Map<string, ReturnType<typeof hostileAnswers>[number]['answer']>
let homes = 0

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('hostile')])
  const certificate = await readFile(fake.clientAuthority.certificateFile, 'utf8')
  answers = new Map(hostileAnswers(certificate).map(({ name, answer }) => [name, answer]))
  const started = performance.now()
  const paired = await run(['pair', '--url', '-'], join(folder.path, 'paired'))
  if (paired.code !== 0) throw new Error(paired.stderr)
  usualMs = performance.now() - started
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})

function options(home: string): { env: Record<string, string>; input: string; limit: number } {
  return { env: { ...fake.env, KYCONNECT_HOME: home }, input: fake.tokenUrl, limit: 100_000 }
}

function run(args: readonly string[], home: string): Promise<Run> {
  return kyconnect([...args, '--timeout', String(timeout)], options(home))
}

/** The steps of the program that read an answer, the command that gets there, and how often it may ask before it gives up. */
const steps: readonly { name: string; fault: keyof Faults; args: readonly string[]; fresh: boolean }[] = [
  { name: 'the CSR information', fault: 'info', args: ['pair', '--url', '-'], fresh: true },
  { name: 'the signing', fault: 'csr', args: ['pair', '--url', '-'], fresh: true },
  { name: 'the management info', fault: 'management', args: ['info'], fresh: false },
  { name: 'a call', fault: 'management', args: ['call', 'info'], fresh: false },
]

/** Answers a request with what the test names, past Node's own server. */
function hostileFault(name: string, onRequest: () => void): (request: unknown, response: ServerResponse) => void {
  return (_, response) => {
    const { socket } = response
    // The client may have hung up already.
    if (socket === null) return
    socket.on('error', () => undefined)
    answers.get(name)?.(socket)
    onRequest()
  }
}

describe.each(steps)('$name', ({ fault, args, fresh }) => {
  test.each(names.filter((name) => args[0] !== 'call' || !streamed.has(name)))(
    'answered with %s ends within the time limit, and says so',
    async (name) => {
      const home = join(folder.path, fresh ? `home-${homes++}` : 'paired')
      fake.faults = { [fault]: hostileFault(name, () => undefined) }
      const started = performance.now()
      const ended = await run(args, home)
      const took = performance.now() - started
      fake.faults = {}
      expect(ended.signal, ended.stderr).toBeNull()
      // A 4xx is a refusal (6), an odd call may even be a success of HTTP (0); never a crash (1).
      expect([0, 3, 4, 6, 7, 8], ended.stderr).toContain(ended.code)
      expect(ended.stderr.length).toBeLessThan(20_000)
      expect(took).toBeLessThan((timeout + 1) * 1000 + 10 * usualMs)
    },
    120_000,
  )
})

describe.each(steps)('Ctrl-C while $name', ({ fault, args, fresh }) => {
  test.each(names)(
    'is answered with %s ends the program at once',
    async (name) => {
      const home = join(folder.path, fresh ? `home-${homes++}` : 'paired')
      let requested = (): void => undefined
      const request = new Promise<void>((resolve) => (requested = resolve))
      fake.faults = { [fault]: hostileFault(name, requested) }
      const running = start(process.execPath, [program, ...args, '--timeout', '60'], options(home))
      await request
      await sleep(100)
      const interrupted = performance.now()
      running.child.kill('SIGINT')
      const ended = await running.end
      const took = performance.now() - interrupted
      fake.faults = {}
      // It may have ended by itself before: most answers are refused as soon as they are read.
      expect([0, 3, 4, 6, 7, 8, 130], ended.stderr).toContain(ended.code)
      expect(took).toBeLessThan(1000 + 10 * usualMs)
    },
    120_000,
  )
})
