import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, json, startFakeKyma } from '../support/fake-kyma.js'
import {
  jsonError,
  kyconnect,
  plainEnvironment,
  program,
  root,
  type Run,
  run,
  type RunOptions,
  start,
} from '../support/kyconnect.js'
import { startSandboxProcess } from '../support/sandbox.js'

// What happens to a run of `events publish` while it runs: renewals, refusals, failures and signals.

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let homes = 0
let home = ''
/** The certificate of each event that the service took. */
const takenWith: string[] = []

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('event-streams')])
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})
beforeEach(async () => {
  home = join(folder.path, `home-${homes++}`)
  fake.faults = { call: takeEvent }
  const paired = await command(['pair', '--url', '-'], { input: fake.tokenUrl })
  expect(paired.code, paired.stderr).toBe(0)
  takenWith.length = fake.requests.length = 0
})

function takeEvent(request: IncomingMessage, response: ServerResponse, body: string): void {
  takenWith.push(certificateOf(request.socket))
  const event = JSON.parse(body) as Record<string, unknown>
  json(response, 200, { 'event-id': event['event-id'], status: 'published', reason: '' })
}

function certificateOf(socket: Socket): string {
  return socket instanceof TLSSocket ? socket.getPeerCertificate().fingerprint256 : ''
}

/** Calls the handler for the first events, and takes the others. */
function atFirst(count: number, handler: (response: ServerResponse) => unknown): typeof takeEvent {
  let arrived = 0
  return (request, response, body) => {
    if (arrived++ < count) handler(response)
    else takeEvent(request, response, body)
  }
}

function environment(more: RunOptions['env'] = {}): Record<string, string | undefined> {
  return { ...fake.env, KYCONNECT_HOME: home, ...more }
}

function command(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return kyconnect(args, { ...options, env: environment(options.env) })
}

/** The environment of a process whose wall clock is ahead, or whose monotonic clock is fast. */
function clock(shiftMs: number, speed = 1): Record<string, string> {
  return {
    NODE_OPTIONS: `--require ${join(root, 'test', 'support', 'clock.cjs')}`,
    KYCONNECT_TEST_SHIFT_MS: String(shiftMs),
    KYCONNECT_TEST_SPEED: String(speed),
  }
}

function lines(count: number): string {
  const event = { 'event-type': 'order.created', 'event-type-version': 'v1', 'event-time': '2019-04-11T08:30:00Z' }
  return Array.from({ length: count }, (_, number) => `${JSON.stringify({ ...event, data: number })}\n`).join('')
}

async function inputFile(count: number): Promise<string> {
  const path = join(folder.path, `${count}-events.ndjson`)
  await writeFile(path, lines(count))
  return path
}

interface Stream {
  write(count: number): void
  /** Ends the input, and waits for the end of the process. */
  finish(): Promise<Run>
}

/** A run that reads events from a pipe. */
function startStream(env: Readonly<Record<string, string | undefined>>, args: readonly string[] = []): Stream {
  const child = spawn(process.execPath, [program, 'events', 'publish', '-f', '-', ...args], {
    env: plainEnvironment(env),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdin.on('error', () => undefined)
  const end = once(child, 'close').then(([code]: unknown[]) => ({
    code: typeof code === 'number' ? code : null,
    signal: child.signalCode,
    stdout,
    stderr,
  }))
  return {
    write: (count) => child.stdin.write(lines(count)),
    finish: () => {
      child.stdin.end()
      return end
    },
  }
}

const one = ['--type', 'order.created', '--type-version', 'v1', '--data', '1']
const days = 86_400_000
/** The certificates are valid for 92 days, and due in the last third. */
const due = clock(75 * days)

describe('the certificate', () => {
  test('is renewed by a stream, and by a program that publishes, before it expires', { timeout: 180_000 }, async () => {
    const validitySeconds = 20
    const seen = new Map<string, Set<string>>()
    const refused: string[] = []
    const sandbox = await startSandboxProcess(
      ['--validity', `${validitySeconds}s`, '--log', '--app', 'demo', '--app', 'other'],
      (line) => {
        const [, , , path = '', status = '', , client = ''] = line.split(' ')
        const [, app = '', , service] = path.split('/')
        if (service !== 'events') return
        if (status !== '200') refused.push(line)
        seen.set(app, (seen.get(app) ?? new Set()).add(client))
      },
    )
    try {
      const pairIn = async (name: string, app: string): Promise<Record<string, string>> => {
        const env = { ...sandbox.ready.env, KYCONNECT_HOME: join(folder.path, name) }
        const paired = await kyconnect(['pair', '--url', '-'], { env, input: await sandbox.tokenUrl(app) })
        expect(paired.code, paired.stderr).toBe(0)
        // Its checks of every 10 s are made every 0.5 s.
        return { ...env, ...clock(0, 20) }
      }
      const [streamEnv, programEnv] = await Promise.all([pairIn('stream', 'demo'), pairIn('program', 'other')])
      const untilMs = Date.now() + (validitySeconds + 3) * 1000
      const busy = run(
        process.execPath,
        [join(root, 'test/support/publishing-program.js'), join(folder.path, 'program'), String(untilMs)],
        { env: programEnv },
      )
      const stream = startStream(streamEnv, ['--concurrency', '2'])
      let written = 0
      for (; Date.now() < untilMs; written += 2) {
        stream.write(2)
        await sleep(20)
      }
      const [streamed, published] = await Promise.all([stream.finish(), busy])

      expect(refused).toEqual([])
      expect(streamed.code, streamed.stderr).toBe(0)
      expect(streamed.stdout).toBe(
        `published ${written}, ignored 0 (no subscribers), rejected 0, retried 0, maybe twice 0\n`,
      )
      const said = streamed.stderr.trimEnd().split('\n')
      // Its lines about the progress come more often as well.
      const notes = said.filter((line) => !/^[\d,]+ published \(/.test(line))
      expect(notes.length).toBeGreaterThan(0)
      const renewed = /^note: the certificate of "demo" has been renewed: it is valid until \S+$/
      expect(notes.filter((line) => !renewed.test(line))).toEqual([])
      expect(seen.get('demo')?.size).toBeGreaterThan(1)

      const report = JSON.parse(published.stdout) as Record<string, unknown> & { renewed: string[] }
      expect(report).toMatchObject({ errors: [], failure: null })
      expect(Object.keys(report['outcomes'] as object)).toEqual(['published'])
      expect(report.renewed.length).toBeGreaterThan(0)
      expect(seen.get('other')?.size).toBe(report.renewed.length + 1)
    } finally {
      await sandbox.stop()
    }
  })

  test('that is refused does not end a stream if another process has renewed it since', async () => {
    const stream = startStream(environment(), ['--json'])
    stream.write(20)
    await expect.poll(() => takenWith.length, { timeout: 30_000 }).toBe(20)
    const [old] = takenWith
    expect((await command(['renew'])).code).toBe(0)
    fake.faults.call = (request, response, body) => {
      if (certificateOf(request.socket) === old)
        response.writeHead(400, { 'content-type': 'text/html' }).end('<html><h1>The SSL certificate error</h1></html>')
      else takeEvent(request, response, body)
    }
    stream.write(20)
    const { code, stdout, stderr } = await stream.finish()
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toMatchObject({ published: 40, thisRun: { retried: 0, maybeTwice: 0 } })
    expect(new Set(takenWith.slice(20))).not.toContain(old)
  })

  test.each([
    ['many events', async () => ['-f', await inputFile(50)]],
    ['one event', () => Promise.resolve(one)],
  ])('that is due is renewed at the end of a short run with %s, without advice to renew it', async (_, args) => {
    const run = await command(['events', 'publish', ...(await args())], { env: due })
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toMatch(/^note: the certificate of "demo" has been renewed: it is valid until \S+\n$/)
    const now = await command(['info', '--offline', '--json'])
    const { certificate } = JSON.parse(now.stdout) as { certificate: { fingerprint: string } }
    expect(takenWith[0]?.replaceAll(':', '').toLowerCase()).not.toBe(certificate.fingerprint)
  })

  test('that cannot be renewed is reported once, and used', async () => {
    fake.faults.renewal = (_, response) => {
      json(response, 500, { code: 500, error: 'the CA is away' })
    }
    const run = await command(['events', 'publish', '-f', await inputFile(50), '--json'], { env: due })
    expect(run.code, run.stderr).toBe(0)
    const warnings = run.stderr.trimEnd().split('\n')
    expect(warnings).toHaveLength(1)
    expect(JSON.parse(warnings[0] ?? '')).toMatchObject({
      warning: { code: 'renewal-failed', profile: 'demo', cause: expect.stringContaining('the CA is away') as unknown },
    })
    expect(takenWith).toHaveLength(50)
  })

  test('that has been revoked is the only one whose expiry is announced', async () => {
    expect((await command(['revoke', '--yes'])).code).toBe(0)
    const run = await command(['events', 'publish', '-f', await inputFile(5)], { env: due })
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr.replaceAll('\n', ' ')).toMatch(
      /^warning: the certificate of "demo" has been revoked, and expires [^!]*pair [^!]*$/,
    )
    expect(run.stderr.match(/warning:/g)).toHaveLength(1)
  })
})

describe('trouble', () => {
  const accepted = 'note: events are being accepted again\n'
  const retried = 'warning: some events could not be sent and are being retried: '

  test.each([
    ['many events', async () => ['-f', await inputFile(50)]],
    ['one event', () => Promise.resolve(one)],
  ])('of a run with %s is reported, and its end as well', async (_, args) => {
    fake.faults.call = atFirst(1, (response) => response.writeHead(503).end('busy'))
    const run = await command(['events', 'publish', ...(await args())])
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toMatch(new RegExp(`^${retried}[^\n]* failed on the event: 503 "busy"\n${accepted}$`))
  })

  test('is one warning with --json', async () => {
    fake.faults.call = atFirst(1, (response) => response.writeHead(503).end('busy'))
    const run = await command(['events', 'publish', '-f', await inputFile(50), '--json'])
    expect(run.code, run.stderr).toBe(0)
    expect(JSON.parse(run.stderr)).toMatchObject({ warning: { code: 'events-retried' } })
  })

  test('that may not pass is only the error at the end', async () => {
    fake.faults.call = (_, response) => response.writeHead(503).end('busy')
    const run = await command(['events', 'publish', '-f', await inputFile(50), '--retry-for', '0s', '--json'])
    expect([run.code, jsonError(run).code]).toEqual([7, 'ERR_SERVICE_FAILED'])
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  test('with connections ends with 8, and the totals', async () => {
    const args = ['events', 'publish', '-f', await inputFile(50), '--retry-for', '1s', '--node-port', '1', '--json']
    const run = await command(args)
    expect([run.code, jsonError(run).code]).toEqual([8, 'ERR_NETWORK'])
    expect(JSON.parse(run.stdout)).toMatchObject({ published: 0, thisRun: { retried: 0, maybeTwice: 0 } })
  })

  test('of a server that drops requests that are sent together is named once', async () => {
    const busy = new Set<Socket>()
    fake.faults.call = (request, response, body) => {
      const { socket } = request
      // Another request has arrived before the answer.
      if (busy.has(socket)) {
        socket.destroy()
        return
      }
      busy.add(socket)
      setTimeout(() => {
        busy.delete(socket)
        if (!socket.destroyed) takeEvent(request, response, body)
      }, 20)
    }
    const run = await command(['events', 'publish', '-f', await inputFile(100), '--concurrency', '1'])
    expect(run.code, run.stderr).toBe(0)
    const warning =
      'warning: the server drops requests that are sent together: each connection sends one at a time now\n'
    expect(run.stderr.split(warning)).toHaveLength(2)
    expect(new Set(takenWith).size).toBe(1)
  })
})

describe('the defaults', () => {
  test('are 16 connections', async () => {
    const sockets = new Set<Socket>()
    fake.faults.call = (request, response, body) => {
      sockets.add(request.socket)
      setTimeout(() => {
        takeEvent(request, response, body)
      }, 50)
    }
    const run = await command(['events', 'publish', '-f', await inputFile(1000)])
    expect(run.code, run.stderr).toBe(0)
    expect(sockets.size).toBe(16)
  })

  test('are five minutes of retries', async () => {
    fake.faults.call = (_, response) => response.writeHead(503).end('busy')
    const started = performance.now()
    // Its five minutes take 5 s.
    const run = await command(['events', 'publish', '-f', await inputFile(1)], { env: clock(0, 60) })
    expect(run.code, run.stderr).toBe(7)
    expect(performance.now() - started).toBeGreaterThan(5000)
  })
})

test('SIGTERM ends a stream with 143, after the answers under way', async () => {
  const running = start(process.execPath, [program, 'events', 'publish', '-f', await inputFile(50_000), '--json'], {
    env: environment(),
  })
  await expect.poll(() => takenWith.length, { timeout: 60_000, interval: 5 }).toBeGreaterThan(100)
  running.child.kill('SIGTERM')
  const run = await running.end
  expect([run.code, jsonError(run).code]).toEqual([143, 'ERR_TERMINATED'])
  expect(JSON.parse(run.stdout)).toMatchObject({ published: takenWith.length, thisRun: { retried: 0, maybeTwice: 0 } })
})
