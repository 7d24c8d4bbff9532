import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { kyconnect, plainEnvironment, program } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let homes = 0

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([startSandboxProcess(), temporaryFolder('terminal')])
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

interface Typed {
  readonly screen: string
  readonly code: number | null
}

/**
 * Runs the program on its own terminal, which `script` provides, and types an answer when a text appears.
 * @returns all that was drawn
 */
async function onTerminal(
  args: readonly string[],
  home: string,
  typing: readonly [RegExp, string][] = [],
  redirect = '',
  columns = 120,
): Promise<Typed> {
  const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', `stty cols ${columns}; ${command} ${redirect}`, '/dev/null'], {
    env: plainEnvironment({
      ...sandbox.ready.env,
      // Without a cluster: it would be asked before the person is.
      KUBECONFIG: undefined,
      HOME: home,
      KYCONNECT_HOME: home,
      TERM: 'xterm-256color',
    }),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const left = [...typing]
  let screen = ''
  child.stdout.on('data', (chunk: Buffer) => {
    screen += chunk.toString('utf8')
    const [next] = left
    if (next?.[0].test(screen) === true) {
      left.shift()
      child.stdin.write(next[1])
    }
  })
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  return { screen, code }
}

test('the token URL is asked for, not shown, and each step settles with a tick', async () => {
  const url = await sandbox.tokenUrl()
  const { screen, code } = await onTerminal(['pair'], join(folder.path, `home-${homes++}`), [[/Token URL/, `${url}\r`]])
  expect(code, screen).toBe(0)
  expect(screen).not.toContain(url.split('token=')[1])
  const ticks = ['CSR information', 'Private key', 'Certificate', 'Management info']
  expect(
    [...screen.matchAll(/✓\S* (CSR information|Private key|Certificate|Management info)/g)].map(([, step]) => step),
  ).toEqual(ticks)
  expect(screen).toContain('Paired with the App "demo".')
  // The spinner hides the cursor while it turns: it must be back at the end.
  expect(screen.lastIndexOf('\u001b[?25h')).toBeGreaterThanOrEqual(screen.lastIndexOf('\u001b[?25l'))
})

test('Ctrl-C at the question ends with 130 and leaves nothing', async () => {
  const home = join(folder.path, `home-${homes++}`)
  const { screen, code } = await onTerminal(['pair'], home, [[/Token URL/, '\u0003']])
  expect([code, screen]).toEqual([130, expect.stringContaining('interrupted')])
})

test('Ctrl-C while the spinner turns ends the work as elsewhere: with the totals, the error and 130', async () => {
  const home = join(folder.path, `home-${homes++}`)
  const env = { ...sandbox.ready.env, KYCONNECT_HOME: home }
  const paired = await kyconnect(['pair', '--url', '-'], { env, input: await sandbox.tokenUrl() })
  expect(paired.code, paired.stderr).toBe(0)
  const event = '{"event-type":"a.b","event-type-version":"v1","event-time":"2026-11-23T20:00:00Z","data":1}\n'
  const file = join(folder.path, 'events.ndjson')
  await writeFile(file, event.repeat(10_000))
  const done = await onTerminal(['events', 'publish', '-f', file, '--rate', '100'], home, [[/\d published \(/, '\x03']])
  expect(done.code).toBe(130)
  expect(done.screen).toMatch(/published \d+, ignored/)
  expect(done.screen).toContain('interrupted')
})

test('events are read from the terminal as they are typed, and Ctrl-C ends a run that waits for more', async () => {
  const home = join(folder.path, `home-${homes++}`)
  const env = { ...sandbox.ready.env, KYCONNECT_HOME: home }
  const paired = await kyconnect(['pair', '--url', '-'], { env, input: await sandbox.tokenUrl() })
  expect(paired.code, paired.stderr).toBe(0)
  const event = '{"event-type":"a.b","event-type-version":"v1","event-time":"2026-11-23T20:00:00Z","data":1}\r'
  for (const file of ['/dev/tty', '-']) {
    const done = await onTerminal(['events', 'publish', '-f', file], home, [
      [/0 published \(/, event],
      [/1 published \(/, '\x03'],
    ])
    expect([done.code, done.screen]).toEqual([130, expect.stringContaining('published 1, ignored')])
  }
})

test('questions go to stderr: stdout may be a file', async () => {
  const home = join(folder.path, `home-${homes++}`)
  const url = await sandbox.tokenUrl()
  const { screen, code } = await onTerminal(['pair'], home, [[/Token URL/, `${url}\r`]], '> /dev/null')
  expect([code, screen]).toEqual([0, expect.stringContaining('Token URL')])
})

test('a body is indented for a person, and a hostile one cannot draw, with --json and -i neither', async () => {
  const home = join(folder.path, `home-${homes++}`)
  const url = await sandbox.tokenUrl()
  expect((await onTerminal(['pair'], home, [[/Token URL/, `${url}\r`]])).code).toBe(0)
  const service = {
    provider: 'p',
    name: 'red \u001b[31m\u202e\u009b31m\u2066 name',
    description: 'd',
    api: { targetUrl: 'https://x.example.com' },
  }
  expect((await onTerminal(['call', 'metadata', '-d', JSON.stringify(service)], home)).code).toBe(0)
  const hostile = /\u001b\[31m|[\u202e\u009b\u2066]/
  for (const more of [[], ['--json'], ['-i']]) {
    const { screen } = await onTerminal(['call', 'metadata', ...more], home)
    expect(screen).toContain('    "provider": "p",')
    expect(screen).not.toMatch(hostile)
  }
  // A pipe gets every byte: the service escapes the first character only.
  const piped = await onTerminal(['call', 'metadata'], home, [], '| od -An -tx1')
  expect(piped.screen.replace(/\s+/g, ' ')).toContain('e2 80 ae c2 9b 33 31 6d e2 81 a6')
})

test('what is stored cannot draw either, and --json keeps every character, escaped', async () => {
  const home = join(folder.path, `home-${homes++}`)
  expect((await onTerminal(['pair'], home, [[/Token URL/, `${await sandbox.tokenUrl()}\r`]])).code).toBe(0)
  const stored = join(home, 'demo', 'current', 'identity.json')
  const metadata = JSON.parse(await readFile(stored, 'utf8')) as { app: string; urls: Record<string, string> }
  const app = 'de\u202emo\u009b31m'
  await writeFile(stored, JSON.stringify({ ...metadata, app }))
  for (const more of [[], ['--json']]) {
    const { screen, code } = await onTerminal(['info', '--offline', ...more], home)
    expect([code, screen]).toEqual([0, expect.not.stringMatching(/[\u202e\u009b]/)])
    if (more.length > 0) expect(JSON.parse(screen)).toMatchObject({ app })
  }
})

test('at 80 columns no word and no URL is broken in the middle', async () => {
  const home = join(folder.path, `home-${homes++}`)
  const url = await sandbox.tokenUrl()
  const long = '1234567890-'.repeat(5)
  const paired = await onTerminal(['pair', '--profile', long], home, [[/Token URL/, `${url}\r`]], '', 80)
  expect(paired.code, paired.screen).toBe(0)
  for (const [args, redirect] of [
    [['info'], ''],
    [['info', '--node-port', '1'], ''],
    [['call', 'events'], ''],
    [['pair', '--url', 'https://connector-service.kyma.local/v1/applications/signingRequests/info'], ''],
    [['pair', '--help'], ''],
    [['call', '--help'], ''],
    [['--help'], ''],
  ] as const) {
    const { screen } = await onTerminal(args, home, [], redirect, 80)
    const lines = screen.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').split(/\r?\n|\r/)
    // A line may be wider only where it is a single word, which cannot be helped.
    expect(
      lines.filter((line) => line.length > 80 && / /.test(line.trim())),
      args.join(' '),
    ).toEqual([])
  }
})

test('a replacement of another domain is asked for, and no is the default', async () => {
  const home = join(folder.path, `home-${homes++}`)
  const first = await sandbox.tokenUrl()
  expect((await onTerminal(['pair'], home, [[/Token URL/, `${first}\r`]])).code).toBe(0)
  const other = first.replace('connector-service.kyma.local', 'connector-service.other.local')
  const { screen, code } = await onTerminal(['pair', '--app', 'demo', '--force'], home, [
    [/Token URL/, `${other}\r`],
    [/Replace the identity from/, '\r'],
  ])
  expect([code, screen]).toEqual([2, expect.stringContaining('another domain')])
})
