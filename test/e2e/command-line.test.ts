import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, root, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** A home with one identity, `demo`. */
let home = ''
let homes = 0

beforeAll(async () => {
  ;[sandbox, fake, folder] = await Promise.all([
    startSandboxProcess(),
    startFakeKyma(),
    temporaryFolder('command-line'),
  ])
  home = join(folder.path, 'home')
  const paired = await go(['pair', '--url', '-'], await sandbox.tokenUrl())
  expect(paired.code, paired.stderr).toBe(0)
})
afterAll(async () => {
  await Promise.all([sandbox.stop(), fake.stop()])
  await folder.remove()
})

function go(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Run> {
  return kyconnect(args, { env: { ...sandbox.ready.env, KUBECONFIG: '', KYCONNECT_HOME: home, ...env }, input })
}

/** A run in a home without identities. */
function fresh(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Run> {
  return go(args, input, { KYCONNECT_HOME: join(folder.path, `fresh-${homes++}`), ...env })
}

describe('the version', () => {
  test.each([['-v'], ['version'], ['--version']])('is printed for %s', async (arg) => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    const done = await kyconnect([arg])
    expect([done.code, done.stdout, done.stderr]).toEqual([0, `${version}\n`, ''])
  })
})

test('a group of commands without one of them shows its help, and an unknown one is named', async () => {
  const group = await kyconnect(['services'])
  expect([group.code, group.stdout, group.stderr]).toEqual([0, expect.stringContaining('apply [options]'), ''])
  const unknown = await kyconnect(['services', 'aply', '-f', '.', '--json'])
  expect([unknown.code, jsonError(unknown).message]).toEqual([2, "unknown command 'services aply'"])
  expect(jsonError(unknown).hint).toContain('kyconnect services --help')
})

describe('a command or flag of another tool', () => {
  test.each([
    ['rotate', 'kyconnect renew'],
    ['undo', 'kyconnect rollback'],
    ['expiry', 'kyconnect status'],
    ['show', 'kyconnect info'],
    ['delete', 'kyconnect remove <profile>'],
    ['mv', 'kyconnect rename <from> <to>'],
    ['connect', 'kyconnect pair --url -'],
    ['curl', 'kyconnect call <endpoint>'],
    ['service', 'kyconnect services list'],
    ['metadata', 'kyconnect services list'],
    ['apply', 'kyconnect services apply -f <file>'],
    ['publish', 'kyconnect events publish'],
    ['https://gateway.kyma.local/demo/v1/events', 'kyconnect call <url>'],
  ])('%s gets the name of the right one', async (word, command) => {
    const done = await kyconnect([word, '--json'])
    expect([done.code, jsonError(done).code]).toEqual([2, 'ERR_USAGE'])
    expect(jsonError(done).hint).toContain(command)
  })

  test.each([
    [['info', '-o', 'yaml'], '--json'],
    [['info', '-ojson'], '--json'],
    [['pair', '--output=json'], '--json'],
    [['token', '--app', 'demo', '-o', 'wide'], '--json'],
    [['pair', '-v'], '--verbose'],
    [['call', 'metadata', '-p', 'demo'], '--profile'],
  ])('%j gets the right flag', async (args, flag) => {
    const done = await kyconnect(args)
    expect(done.code).toBe(2)
    expect(done.stderr).toMatch(new RegExp(`→ .*use ${flag}\\n`))
  })

  test('is not mistaken for a command that only sounds like it', async () => {
    const done = await kyconnect(['rotate', '--json'])
    expect(jsonError(done).message).toBe("unknown command 'rotate'")
  })

  test('a flag that the command has is not hinted at', async () => {
    const done = await kyconnect(['call', 'metadata', '--bogus', '-o', 'file'])
    expect([done.code, done.stderr]).toEqual([2, expect.not.stringContaining('--json')])
  })

  test('a mistyped command and a mistyped flag get a suggestion', async () => {
    expect((await kyconnect(['inf'])).stderr).toContain('Did you mean info?')
    expect((await kyconnect(['pair', '--ulr', 'x'])).stderr).toContain('Did you mean --url?')
  })
})

describe('pair', () => {
  test('takes the token URL as its argument, and warns that other users can see it', async () => {
    const done = await fresh(['pair', await sandbox.tokenUrl(), '--json'])
    expect(done.code, done.stderr).toBe(0)
    expect(JSON.parse(done.stderr)).toMatchObject({ warning: { code: 'token-url-in-arguments' } })
    expect(JSON.parse(done.stdout)).toMatchObject({ app: 'demo', verified: true })
  })

  test.each([['demo'], ['c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0']])(
    'refuses an argument that is not a URL, names the right flags, and does not repeat it',
    async (argument) => {
      const done = await fresh(['pair', argument])
      expect(done.code).toBe(2)
      expect(done.stderr).toMatch(/--app <name>.*--profile <name>/)
      expect(done.stderr).not.toContain(argument)
    },
  )

  test.each<[string, (url: string) => string]>([
    ['a sentence', (url) => `Your URL: ${url} thanks`],
    ['the answer of the token API', (url) => JSON.stringify({ url, token: url.split('token=')[1] })],
    [
      'a TokenRequest as kubectl prints it',
      (url) => JSON.stringify({ kind: 'TokenRequest', status: { url } }, null, 4),
    ],
  ])('finds the token URL in %s', async (_, wrap) => {
    const url = await sandbox.tokenUrl()
    const done = await fresh(['pair', '--json', '--url', '-'], wrap(url))
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).not.toContain(url.split('token=')[1])
  })

  test('refuses a token URL without a token before any request', async () => {
    const done = await fresh(['pair', '--json', '--url', '-'], fake.tokenUrl.split('?')[0], fake.env)
    expect([done.code, jsonError(done).code]).toEqual([2, 'ERR_TOKEN_URL_INVALID'])
    expect(fake.requests).toEqual([])
  })
})

describe('call', () => {
  test('takes a full URL of the App, with and without the NodePort, and a path below it', async () => {
    const gateway = 'https://gateway.kyma.local'
    for (const origin of [gateway, `${gateway}:${sandbox.ready.gatewayPort}`]) {
      const list = await go(['call', `${origin}/demo/v1/metadata/services`])
      expect([list.code, list.stdout.trim()], list.stderr).toEqual([0, '[]'])
      const missing = await go(['call', `${origin}/demo/v1/metadata/services/no-such-id?x=1`])
      expect([missing.code, missing.stderr]).toEqual([6, expect.stringContaining('/services/no-such-id')])
      expect((await go(['call', `${origin}/v1/applications/management/info`])).code).toBe(0)
    }
  })

  test.each([
    ['https://gateway.kyma.local/shop/v1/metadata/services'],
    ['https://gateway.kyma.local:1/demo/v1/metadata/services'],
    ['https://gateway.kyma.local/demo/v1/metadata/servicesX'],
    ['https://user@gateway.kyma.local/demo/v1/metadata/services'],
    ['https://evil.example/demo/v1/metadata/services'],
    ['http://gateway.kyma.local/demo/v1/metadata/services'],
  ])('refuses %s, which is not a URL of the identity', async (url) => {
    const done = await go(['call', url, '--json'])
    expect([done.code, jsonError(done).hint]).toEqual([2, expect.stringContaining('kyconnect info --profile demo')])
  })

  test('names pair for a token URL, and does not repeat the token', async () => {
    const url = await sandbox.tokenUrl()
    const done = await go(['call', url])
    expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('kyconnect pair --url -')])
    expect(done.stderr).not.toContain(url.split('token=')[1])
  })

  test('names --profile where a profile was given as the endpoint', async () => {
    const done = await go(['call', 'demo'])
    expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('--profile demo')])
  })

  test('names --data where the body was given as the path', async () => {
    const file = jsonError(await go(['call', 'events', '@my event.json', '--json']))
    expect([file.code, file.message]).toEqual(['ERR_USAGE', 'a body was given as the path: --data is missing'])
    expect(file.hints).toContain("send it with -d: kyconnect call events -d '@my event.json'")
    const text = await go(['call', 'metadata', '{"provider":"p"}', '--json'])
    expect([text.code, jsonError(text).hint]).toEqual([2, expect.stringContaining("call metadata -d '<json>'")])
    // A path may begin with @ after its slash: the service answers then.
    expect((await go(['call', 'metadata', '/@event.json'])).code).toBe(6)
  })

  test.each(['json', 'yaml', 'table', 'wide', 'YAML'])('refuses -o %s, the name of a format', async (name) => {
    const done = await kyconnect(['call', 'metadata', '-o', name, '--json'], {
      env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
      cwd: folder.path,
    })
    expect([done.code, jsonError(done).message]).toEqual([2, expect.stringContaining('not a format')])
    expect(jsonError(done).hint).toMatch(new RegExp(`--json.*-o \\./${name}$`))
    expect(await readdir(folder.path)).not.toContain(name)
  })

  test('writes to a file with the name of a format, given as a path', async () => {
    const done = await kyconnect(['call', 'metadata', '-o', './yaml'], {
      env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
      cwd: folder.path,
    })
    expect([done.code, done.stdout], done.stderr).toEqual([0, ''])
    expect((await readFile(join(folder.path, 'yaml'), 'utf8')).trim()).toBe('[]')
  })

  test('names the command that reads the NodePort, for --node-port auto', async () => {
    const done = await go(['call', 'metadata', '--node-port', 'auto', '--json'])
    expect([done.code, jsonError(done).message]).toEqual([2, expect.stringContaining('is for pair and info')])
    expect(jsonError(done).hints).toEqual([
      expect.stringContaining('kyconnect info --node-port auto --json | jq .nodePort'),
      expect.stringContaining('kyconnect pair --force --node-port auto'),
    ])
  })

  test('of the events endpoint without a body shows how to send one', async () => {
    for (const target of ['events', 'https://gateway.kyma.local/demo/v1/events']) {
      const done = await go(['call', target])
      expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('kyconnect call events -d @event.json')])
    }
    // What is below it can be read, in some releases, and an explicit method is sent as it is.
    expect((await go(['call', 'events', '-X', 'GET'])).code).toBe(6)
  })
})

describe('help', () => {
  test('has no line wider than 110 columns in a pipe', async () => {
    const names = await readdir(join(root, 'src/cli/commands'), { withFileTypes: true })
    const commands = names.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    for (const args of [['--help'], ...commands.map((name) => [name, '--help'])]) {
      const { stdout } = await kyconnect(args)
      expect(stdout.split('\n').filter((line) => line.length > 110)).toEqual([])
    }
  })

  test('of pair has its flags in groups', async () => {
    const { stdout } = await kyconnect(['pair', '--help'])
    const groups = [...stdout.matchAll(/^([A-Z][^\n]*):$/gm)].map(([, group]) => group)
    expect(groups).toEqual([
      'Arguments',
      'Token URL',
      'Identity',
      'Key',
      'Connection',
      'Cluster, when it is asked for a token',
      'Output',
      'Examples',
    ])
  })
})
