/** The sandbox command: what it prints, to whom, and that it works as printed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { kyconnect, plainEnvironment, program, run } from '../support/kyconnect.js'
import { startSandboxProcess } from '../support/sandbox.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('sandbox-command')
  const bin = join(folder.path, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'kyconnect'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
  await chmod(join(bin, 'kyconnect'), 0o755)
})
afterAll(() => folder.remove())

/** Runs the sandbox on a terminal until its screen holds a text; `use` gets the screen while the sandbox runs. */
async function onTerminal<T>(args: readonly string[], ready: RegExp, use: (screen: string) => Promise<T>): Promise<T> {
  const command = [process.execPath, program, 'sandbox', ...args].map((word) => `'${word}'`).join(' ')
  const child: ChildProcess = spawn('script', ['-qec', command, '/dev/null'], {
    env: plainEnvironment({ TERM: 'xterm-256color', COLUMNS: '80' }),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let screen = ''
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        screen += chunk.toString('utf8')
        if (ready.test(screen)) resolve()
      })
      void closed.then(() => {
        reject(new Error(`the sandbox ended: ${screen}`))
      })
    })
    return await use(screen.replaceAll('\r', ''))
  } finally {
    child.stdin?.write('\u0003')
    await closed
  }
}

const LAST_LINE = /v1\/applications\/tokens\r?\n/

describe('on a terminal', () => {
  test.each([
    ['', []],
    [' in central mode', ['--central', '--app', 'shop']],
  ])(
    'it prints a guide%s, whose commands work as they are printed',
    async (_what, args) => {
      await onTerminal(args, LAST_LINE, async (screen) => {
        expect(screen).toMatch(/^A local Kyma is running\. Ctrl-C ends it\.\n/)
        expect(screen).not.toContain('{"')
        const commands = [...screen.matchAll(/^ {2}(\S.*)$/gm)].map(([, command]) => command ?? '')
        expect(commands.slice(0, 4).every((command) => command.startsWith('export '))).toBe(true)
        const home = join(folder.path, `home${args.length}`)
        const script = `set -euo pipefail\n${commands.join('\n')}\n`
        const done = await run('bash', ['-c', script], {
          cwd: folder.path,
          env: { PATH: `${join(folder.path, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: home },
          limit: 250_000,
        })
        expect(done.code, done.stdout + done.stderr).toBe(0)
        expect(done.stdout).toContain('"token":')
      })
    },
    300_000,
  )

  test('with --json it prints its JSON', async () => {
    const json = await onTerminal(['--json'], /\}\r?\n/, (screen) => Promise.resolve(screen))
    expect(Object.keys(JSON.parse(json) as object)).toEqual(expect.arrayContaining(['tokenUrls', 'env', 'contexts']))
    expect(json.trimEnd()).not.toContain('\n')
  })
})

describe('in a pipe', () => {
  test('it prints one line of JSON, which names no other cluster', async () => {
    const sandbox = await startSandboxProcess(['--domain', 'kyma.example.org'])
    try {
      expect(sandbox.ready.domain).toBe('kyma.example.org')
      expect(JSON.stringify(sandbox.ready)).not.toContain('kyma.local')
    } finally {
      await sandbox.stop()
    }
  })

  test('events that nothing subscribes to are ignored, and the others are listed on request', async () => {
    const subscriptions = ['--subscribe', 'order.created:v1', '--subscribe', 'a.b:v2']
    const sandbox = await startSandboxProcess([...subscriptions, '--list-subscriptions'])
    try {
      const env = { ...sandbox.ready.env, KYCONNECT_HOME: join(folder.path, 'subscriber') }
      expect((await kyconnect(['pair', '--url', '-'], { env, input: await sandbox.tokenUrl() })).code).toBe(0)
      const publish = async (type: string, version: string): Promise<string> => {
        const event = {
          'event-type': type,
          'event-type-version': version,
          'event-time': '2026-11-23T20:00:00Z',
          data: 1,
        }
        return (await kyconnect(['call', 'events', '-d', JSON.stringify(event)], { env })).stdout
      }
      expect(await publish('order.created', 'v1')).toMatch(/"status": ?"published"/)
      expect(await publish('a.b', 'v2')).toMatch(/"status": ?"published"/)
      expect(await publish('a.b', 'v1')).toMatch(/"status": ?"ignored"/)
      const listed = await kyconnect(['events', 'subscribed'], { env })
      expect(listed, listed.stderr).toMatchObject({
        code: 0,
        stdout: 'TYPE           VERSION\norder.created  v1\na.b            v2\n',
      })
    } finally {
      await sandbox.stop()
    }
  }, 300_000)
})

test.each([
  [['--subscribe', 'order.created'], '--subscribe takes <type>:<version>, not "order.created"'],
  [['--list-subscriptions'], '--list-subscriptions needs --subscribe'],
  [['--subscribe', 'a:b:c'], '--subscribe takes <type>:<version>, not "a:b:c"'],
  [['--subscribe', 'Order:v1'], '"Order:v1" is not an event type and version: '],
  [['--subscribe', 'order:v12345'], '"order:v12345" is not an event type and version: '],
  [['--deny', 'create'], '--deny takes <verb>:<resource>, not "create"'],
  [['--token-ttl', '1h'], '--token-ttl takes a number of seconds, not "1h"'],
  [['--validity', 'x'], '--validity takes a number followed by s, m, h or d, not "x"'],
  [['--domain', 'https://x'], '"https://x" is not a domain: '],
])('%j is a usage error', async (args, message) => {
  const { code, stderr } = await kyconnect(['sandbox', '--json', ...args])
  expect(code).toBe(2)
  expect(JSON.parse(stderr)).toMatchObject({
    error: { code: 'ERR_USAGE', message: expect.stringContaining(message) as string },
  })
})

test('a state folder that is a link is refused, and the error names it', async () => {
  const link = join(folder.path, 'link')
  await symlink('/tmp', link)
  const { code, stderr } = await kyconnect(['sandbox', '--json', '--state', link])
  expect(code).not.toBe(0)
  expect(JSON.parse(stderr)).toMatchObject({
    error: { message: `the sandbox cannot start: the state folder is refused: ${link} is a symbolic link` },
  })
})
