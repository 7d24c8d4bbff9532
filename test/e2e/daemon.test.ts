import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import {
  jsonError,
  kyconnect,
  plainEnvironment,
  program,
  run,
  type Run,
  type RunOptions,
  start,
} from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'
import { mountSmallDisk } from '../support/small-disk.js'

/** Certificates of 60 seconds, and of 92 days. */
let short: SandboxProcess
let usual: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** Milliseconds that a command takes when it has almost nothing to do: how fast this machine is at the moment. */
let usualMs: number

beforeAll(async () => {
  ;[short, usual, folder] = await Promise.all([
    startSandboxProcess(['--app', 'demo', '--app', 'shop', '--validity', '60s']),
    startSandboxProcess(),
    temporaryFolder('daemon'),
  ])
  const before = performance.now()
  await kyconnect(['list'], { env: { KYCONNECT_HOME: join(folder.path, 'none') } })
  usualMs = performance.now() - before
})
afterAll(async () => {
  await Promise.all([short.stop(), usual.stop()])
  await folder.remove()
})

interface Event {
  readonly time: string
  readonly event: string
  readonly url?: string | null
  readonly profile?: string
  readonly profiles?: readonly string[]
  readonly fingerprint?: string
  readonly error?: { readonly code: string; readonly message: string }
}

class DaemonProcess {
  readonly events: Event[] = []
  stderr = ''
  readonly pid: number
  readonly end: Promise<Run>
  readonly #kill: (signal: NodeJS.Signals) => void
  #seen = 0

  constructor(args: readonly string[], options: RunOptions) {
    const { child, end } = start(process.execPath, [program, 'renew', '--daemon', '--json', ...args], options)
    this.end = end
    this.pid = child.pid ?? 0
    this.#kill = (signal) => child.kill(signal)
    let rest = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      this.events.push(...lines.map((line) => JSON.parse(line) as Event))
    })
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()))
  }

  /** The next event of this kind, after the one that was waited for last. */
  async next(event: string, profile?: string): Promise<Event> {
    const isWanted = (each: Event): boolean =>
      each.event === event && (profile === undefined || each.profile === profile)
    await expect
      .poll(() => this.events.slice(this.#seen).some(isWanted), {
        timeout: 60_000,
        interval: 20,
        message: `${event} ${profile ?? ''}`,
      })
      .toBe(true)
      .catch((error: unknown) => {
        throw new Error(`no ${event} ${profile ?? ''} in ${JSON.stringify(this.events)} ${this.stderr}`, {
          cause: error,
        })
      })
    const index = this.events.findIndex((each, at) => at >= this.#seen && isWanted(each))
    this.#seen = index + 1
    const found = this.events[index]
    if (found === undefined) throw new Error('unreachable')
    return found
  }

  signal(name: NodeJS.Signals): void {
    this.#kill(name)
  }

  /** Ends it. @returns the exit code as a shell sees it, and after how many milliseconds */
  async stop(name: NodeJS.Signals = 'SIGTERM'): Promise<Run & { ms: number }> {
    const before = performance.now()
    this.#kill(name)
    const end = await this.end
    const ms = performance.now() - before
    return { ...end, code: end.signal === 'SIGTERM' ? 143 : end.code, ms }
  }

  async descriptors(): Promise<number> {
    return (await readdir(`/proc/${this.pid}/fd`)).length
  }
}

const running: DaemonProcess[] = []
afterEach(async () => {
  for (const daemon of running.splice(0)) {
    daemon.signal('SIGKILL')
    await daemon.end
  }
})

function startDaemon(args: readonly string[], env: RunOptions['env']): DaemonProcess {
  const daemon = new DaemonProcess(args, { env: { ...env }, limit: 110_000 })
  running.push(daemon)
  return daemon
}

async function pair(sandbox: SandboxProcess, home: string, app = 'demo', args: readonly string[] = []): Promise<void> {
  const env = { ...sandbox.ready.env, KYCONNECT_HOME: home }
  const done = await kyconnect(['pair', '--json', '--url', '-', ...args], { env, input: await sandbox.tokenUrl(app) })
  expect(done.code, done.stderr).toBe(0)
}

/** A second, or more on a machine that is busy. */
function withinASecond(): number {
  return Math.max(1000, 10 * usualMs)
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

test('it renews again and again, runs the command, finds and forgets identities, answers HTTP, and ends at once', async () => {
  const home = join(folder.path, 'long')
  const hooks = join(folder.path, 'hooks')
  await pair(short, home)
  // Due after a fifth of the lifetime, so that a slow machine has four fifths to renew in.
  const daemon = startDaemon(
    ['--listen', ':0', '--expires-in', '80%', '--exec', `echo "$KYCONNECT_PROFILES" >> ${hooks}`],
    {
      ...short.ready.env,
      KYCONNECT_HOME: home,
    },
  )
  const { url } = await daemon.next('started')
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  const page = async (path: string): Promise<string> => (await fetch(`${url ?? ''}${path}`)).text()
  await daemon.next('appeared', 'demo')
  expect(await page('/healthz')).toBe('ok\n')

  const first = await daemon.next('renewed', 'demo')
  await daemon.next('hook-succeeded')
  const descriptors = await daemon.descriptors()
  await pair(short, home, 'shop')
  await daemon.next('appeared', 'shop')
  const second = await daemon.next('renewed', 'demo')
  expect(second.fingerprint).not.toBe(first.fingerprint)
  await daemon.next('hook-succeeded')
  const metrics = await page('/metrics')
  expect(metrics).toMatch(/kyconnect_renewals_total\{profile="demo"\} [2-9]\n/)
  const notAfter = Number(/certificate_not_after_seconds\{app="demo",profile="demo"\} (\d+)\n/.exec(metrics)?.[1])
  expect(Math.abs(notAfter - Date.now() / 1000 - 60)).toBeLessThan(60)

  expect((await kyconnect(['remove', 'demo', '--yes'], { env: { KYCONNECT_HOME: home } })).code).toBe(0)
  await daemon.next('gone', 'demo')
  await pair(short, home, 'shop', ['--force'])
  await daemon.next('changed', 'shop')
  daemon.signal('SIGHUP')
  await daemon.next('renewed', 'shop')
  await daemon.next('hook-succeeded')
  expect(await page('/metrics')).not.toContain('demo')
  expect(await page('/healthz')).toBe('ok\n')
  expect(await daemon.descriptors()).toBeLessThanOrEqual(descriptors + 2)

  const end = await daemon.stop()
  expect(end.code).toBe(143)
  expect(end.ms).toBeLessThan(withinASecond())
  expect(daemon.events.at(-1)?.event).toBe('stopping')
  expect(daemon.events.filter(({ event }) => event === 'failed' || event === 'expired')).toEqual([])
  // It ends as it was asked to, which is not an error.
  expect(end.stderr).toBe('')
  // The other identity may be renewed in between.
  const runs = (await readFile(hooks, 'utf8')).trim().split('\n')
  expect(runs[0]).toBe('demo')
  expect(runs.filter((profiles) => profiles.includes('demo')).length).toBeGreaterThanOrEqual(2)
  // Locks are released, and nothing half done is left.
  expect((await kyconnect(['info'], { env: { ...short.ready.env, KYCONNECT_HOME: home } })).code).toBe(0)
})

test('a home that does not exist yet is waited for, SIGHUP makes it look at once, and Ctrl-C ends it: 130', async () => {
  const home = join(folder.path, 'later')
  const daemon = startDaemon([], { ...usual.ready.env, KYCONNECT_HOME: home })
  await daemon.next('started')
  await pair(usual, home)
  expect(daemon.events).toHaveLength(1)
  daemon.signal('SIGHUP')
  await daemon.next('appeared', 'demo')
  const end = await daemon.stop('SIGINT')
  expect([end.code, daemon.events.map(({ event }) => event)]).toEqual([130, ['started', 'appeared', 'stopping']])
  expect(end.ms).toBeLessThan(withinASecond())
})

test('without --json the lines are for a person, and nothing is printed while nothing changes', async () => {
  const home = join(folder.path, 'lines')
  await pair(usual, home)
  const { child, end } = start(process.execPath, [program, 'renew', 'demo', '--daemon'], {
    env: { ...usual.ready.env, KYCONNECT_HOME: home },
  })
  let printed = ''
  child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  await expect.poll(() => printed, { timeout: 60_000 }).toContain('found')
  child.kill('SIGHUP')
  await pause(500)
  child.kill('SIGTERM')
  const { code, stdout, stderr } = await end
  // The daemon, a timer and status compute the same instant.
  const nextOf = async (args: readonly string[], list: string): Promise<string | undefined> => {
    const printed = (await kyconnect([...args, '--json'], { env: { KYCONNECT_HOME: home } })).stdout
    return (JSON.parse(printed) as Record<string, { nextRenewal: string }[]>)[list]?.[0]?.nextRenewal
  }
  const next = /next renewal (\S+)/.exec(stdout)?.[1]
  expect(next).toBeDefined()
  expect(await nextOf(['status'], 'identities')).toBe(next)
  expect(await nextOf(['renew', '--all', '--if-due'], 'results')).toBe(next)
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
  expect([code, stderr]).toEqual([143, ''])
  expect(stdout).toMatch(
    new RegExp(
      `^${time} started for the profile demo only\\n${time} demo: found, valid until ${time}, next renewal ${time}\\n${time} stopping\\n$`,
    ),
  )
})

test('an expired identity is reported once and makes /healthz answer 503', async () => {
  const home = join(folder.path, 'expired')
  const brief = await startSandboxProcess(['--validity', '3s'])
  try {
    await pair(brief, home)
    await pause(3500)
    const daemon = startDaemon(['--listen', '0'], { ...brief.ready.env, KYCONNECT_HOME: home })
    const { url } = await daemon.next('started')
    await daemon.next('expired', 'demo')
    const health = await fetch(`${url ?? ''}/healthz`)
    expect([health.status, await health.text()]).toEqual([503, 'demo: the certificate has expired\n'])
    await pause(2500)
    expect(daemon.events.map(({ event }) => event)).toEqual(['started', 'appeared', 'expired'])
  } finally {
    await brief.stop()
  }
})

test('SIGTERM ends a renewal that waits for the gateway within a second, and the lock with it', async () => {
  const home = join(folder.path, 'stalled')
  await pair(short, home)
  const calls: string[] = []
  const silent = createServer((socket) => {
    calls.push('call')
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const address = silent.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    const daemon = startDaemon(['--expires-in', '100%', '--node-port', String(port)], {
      ...short.ready.env,
      KYCONNECT_HOME: home,
    })
    await expect.poll(() => calls.length, { timeout: 60_000 }).toBe(1)
    const end = await daemon.stop()
    expect(end.code).toBe(143)
    expect(end.ms).toBeLessThan(withinASecond())
    expect((await kyconnect(['remove', 'demo', '--yes'], { env: { KYCONNECT_HOME: home } })).code).toBe(0)
  } finally {
    silent.close()
  }
})

test('SIGTERM ends the generation of a large key within a second', async () => {
  const home = join(folder.path, 'large')
  await pair(short, home)
  const before = await readFile(join(home, 'demo', 'current', 'key.pem'))
  const daemon = startDaemon(['--expires-in', '100%', '--key-algorithm', 'rsa4096', '--verbose'], {
    ...short.ready.env,
    KYCONNECT_HOME: home,
    // A thread for the key, so that the process would wait for it, and one for the log.
    UV_THREADPOOL_SIZE: '2',
  })
  await expect.poll(() => daemon.stderr, { timeout: 60_000, interval: 5 }).toContain('< 200')
  const end = await daemon.stop()
  expect(end.code).toBe(143)
  expect(end.ms).toBeLessThan(withinASecond())
  expect(daemon.events.at(-1)?.event).toBe('stopping')
  expect(await readFile(join(home, 'demo', 'current', 'key.pem'))).toEqual(before)
  expect((await kyconnect(['remove', 'demo', '--yes'], { env: { KYCONNECT_HOME: home } })).code).toBe(0)
})

test('SIGTERM ends it within a second too while it renews again, shortly after a command of an earlier renewal', async () => {
  const home = join(folder.path, 'large-again')
  await pair(short, home)
  const daemon = startDaemon(['--expires-in', '100%', '--key-algorithm', 'rsa4096', '--exec', 'true', '--verbose'], {
    ...short.ready.env,
    KYCONNECT_HOME: home,
    UV_THREADPOOL_SIZE: '1',
  })
  await daemon.next('hook-succeeded')
  const { length } = daemon.stderr
  await expect.poll(() => daemon.stderr.slice(length), { timeout: 60_000, interval: 5 }).toContain('< 200')
  const end = await daemon.stop()
  expect(end.code).toBe(143)
  expect(end.ms).toBeLessThan(withinASecond())
})

test('SIGTERM waits for the --exec command, and its success is recorded', async () => {
  const home = join(folder.path, 'hook')
  const [begun, done] = [join(folder.path, 'begun'), join(folder.path, 'done')]
  await pair(short, home)
  const daemon = startDaemon(['--expires-in', '100%', '--exec', `touch ${begun}; sleep 2; touch ${done}`], {
    ...short.ready.env,
    KYCONNECT_HOME: home,
  })
  await expect.poll(() => exists(begun), { timeout: 60_000 }).toBe(true)
  const end = await daemon.stop()
  expect([end.code, await exists(done)]).toEqual([143, true])
  expect(daemon.events.map(({ event }) => event).slice(-2)).toEqual(['stopping', 'hook-succeeded'])
  const stored = await readFile(join(home, 'demo', 'current', 'identity.json'), 'utf8')
  expect(JSON.parse(stored)).toMatchObject({ hookPending: false })
})

test('a command that fails is reported once, run again, and the certificate is not renewed again for it', async () => {
  const home = join(folder.path, 'failing-hook')
  const flag = join(folder.path, 'flag')
  await pair(usual, home)
  const env = { ...usual.ready.env, KYCONNECT_HOME: home }
  const renewed = await kyconnect(['renew', '--json', '--exec', 'false'], { env })
  expect(renewed.code, renewed.stderr).toBe(12)
  const daemon = startDaemon(['--exec', `test -e ${flag}`], env)
  const { error } = await daemon.next('hook-failed')
  expect(error?.code).toBe('ERR_HOOK_FAILED')
  await run('touch', [flag])
  daemon.signal('SIGHUP')
  expect((await daemon.next('hook-succeeded')).profiles).toEqual(['demo'])
  expect(daemon.events.map(({ event }) => event)).toEqual(['started', 'appeared', 'hook-failed', 'hook-succeeded'])
})

test('a full disk, then a read-only one: reported once each, the old identity stays, and it renews when there is space', async () => {
  const home = join(tmpdir(), `kyconnect-daemon-disk-${process.pid}`)
  await mkdir(home)
  const disk = await mountSmallDisk(home, 400)
  try {
    await chmod(home, 0o700)
    const slow = await startSandboxProcess(['--validity', '60s'])
    try {
      await pair(slow, home)
      const before = await readFile(join(home, 'demo', 'current', 'key.pem'))
      await run('bash', ['-c', 'head -c 1M /dev/zero > "$0/filler"', home])
      const daemon = startDaemon(['--expires-in', '100%'], { ...slow.ready.env, KYCONNECT_HOME: home })
      const full = await daemon.next('failed', 'demo')
      expect(full.error).toMatchObject({ code: 'ERR_FILES', message: expect.stringMatching(/no space left/) as string })
      await disk.remount('ro')
      daemon.signal('SIGHUP')
      const readOnly = await daemon.next('failed', 'demo')
      expect(readOnly.error).toMatchObject({ code: 'ERR_FILES' })
      expect(await readFile(join(home, 'demo', 'current', 'key.pem'))).toEqual(before)
      await disk.remount('rw')
      await rm(join(home, 'filler'))
      daemon.signal('SIGHUP')
      await daemon.next('renewed', 'demo')
      expect(daemon.events.map(({ event }) => event)).toEqual([
        'started',
        'appeared',
        'due',
        'failed',
        'failed',
        'renewed',
      ])
      expect((await daemon.stop()).code).toBe(143)
    } finally {
      await slow.stop()
    }
  } finally {
    await disk.unmount()
    await rm(home, { recursive: true, force: true })
  }
})

test('a log on a full disk does not keep it from renewing', async () => {
  const home = join(folder.path, 'full-log')
  await pair(short, home)
  const before = await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')
  const { child, end } = start(
    'bash',
    ['-c', 'exec "$0" "$@" > /dev/full', process.execPath, program, 'renew', '--daemon', '--expires-in', '100%'],
    { env: { ...short.ready.env, KYCONNECT_HOME: home } },
  )
  await expect
    .poll(() => readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8'), { timeout: 60_000 })
    .not.toBe(before)
  child.kill('SIGTERM')
  expect((await end).code).toBe(143)
})

test('its first line names the only profile that it cares for, and says when nothing is stored', async () => {
  const home = join(folder.path, 'nothing')
  for (const [profile, text] of [
    ['', `started; no identity is stored in ${home} (KYCONNECT_HOME) yet`],
    [
      'shop',
      `started for the profile shop only; no identity is stored in ${home} (KYCONNECT_HOME) under this name yet`,
    ],
  ] as const) {
    const env = { KYCONNECT_HOME: home, KYCONNECT_PROFILE: profile }
    const { child, end } = start(process.execPath, [program, 'renew', '--daemon'], { env })
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    child.kill('SIGTERM')
    expect((await end).stdout.split('\n')[0]?.replace(/^\S+ /, '')).toBe(text)
  }
  const daemon = startDaemon([], { KYCONNECT_HOME: home })
  expect(await daemon.next('started')).toMatchObject({ only: null, empty: true, url: null })
  await daemon.stop()
})

test('a log whose reader has stopped reading keeps it neither from renewing nor from ending', async () => {
  const home = join(folder.path, 'stuck-log')
  await pair(short, home)
  const before = await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')
  // Nothing reads its output, and that is full before the daemon starts.
  const child = spawn(
    'bash',
    [
      '-c',
      'timeout 1 cat /dev/zero; exec "$0" "$@" 2>&1',
      process.execPath,
      program,
      'renew',
      '--daemon',
      '--expires-in',
      '100%',
    ],
    { env: plainEnvironment({ ...short.ready.env, KYCONNECT_HOME: home }), stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const end = once(child, 'exit')
  try {
    await expect
      .poll(() => readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8'), { timeout: 60_000 })
      .not.toBe(before)
    const stopped = performance.now()
    child.kill('SIGTERM')
    expect(await end).toEqual([null, 'SIGTERM'])
    expect(performance.now() - stopped).toBeLessThan(withinASecond())
  } finally {
    child.kill('SIGKILL')
  }
})

test('mistakes are reported at the start', async () => {
  const env = { KYCONNECT_HOME: join(folder.path, 'none') }
  const go = (args: readonly string[]): Promise<Run> => kyconnect(['renew', '--json', ...args], { env })
  const noDaemon = await go(['--all', '--listen', '9464'])
  expect([noDaemon.code, jsonError(noDaemon).message]).toEqual([2, '--listen is for --daemon only'])
  const listen = await go(['--daemon', '--listen', 'example.com:80'])
  expect([listen.code, jsonError(listen).code]).toEqual([2, 'ERR_USAGE'])
  const profile = await go(['--daemon', '--profile', '../x'])
  expect([profile.code, jsonError(profile).code]).toEqual([2, 'ERR_PROFILE_NAME'])
  const both = await go(['--daemon', '--all', 'demo'])
  expect(both.code).toBe(2)
  const caFile = await go(['--daemon', '--ca-file', join(folder.path, 'missing.pem')])
  expect(caFile.code).not.toBe(0)
  const port = new URL(usual.ready.internalUrl).port
  const inUse = await go(['--daemon', '--listen', port])
  expect([inUse.code, jsonError(inUse).reason]).toEqual([8, 'EADDRINUSE'])
})
