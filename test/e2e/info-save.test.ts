import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { makeAuthority, temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, json, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, type Run } from '../support/kyconnect.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let fake: FakeKyma
/** Holds the gateway's CA and another one. */
let twoCas = ''
let home = ''
let homes = 0

beforeAll(async () => {
  ;[folder, fake] = await Promise.all([temporaryFolder('info-save'), startFakeKyma()])
  const other = await makeAuthority(folder.path, 'other', 'ec')
  const files = [fake.serverAuthority.certificateFile, other.certificateFile]
  twoCas = join(folder.path, 'two.pem')
  await writeFile(twoCas, (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join(''))
  const paired = await go(['pair', '--url', '-'], fake.env, fake.tokenUrl)
  expect(paired.code, paired.stderr).toBe(0)
  await cp(home, join(folder.path, 'template'), { recursive: true, verbatimSymlinks: true })
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})
beforeEach(async () => {
  home = join(folder.path, `home-${homes++}`)
  await cp(join(folder.path, 'template'), home, { recursive: true, verbatimSymlinks: true })
})
afterEach(() => {
  fake.faults = {}
})

/** Runs with nothing of the fake's in the environment, unless it is given. */
function go(args: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Run> {
  if (home === '') home = join(folder.path, 'first')
  return kyconnect(args, { env: { KUBECONFIG: '', KYCONNECT_HOME: home, ...env }, input })
}

interface Route {
  readonly nodePort: number | null
  readonly resolve: readonly string[]
  readonly proxy: string | null
  readonly serverCa: string | undefined
}

async function route(): Promise<Route> {
  const current = join(home, 'demo', 'current')
  const { nodePort, resolve, proxy } = JSON.parse(await readFile(join(current, 'identity.json'), 'utf8')) as Route
  const serverCa = await readFile(join(current, 'server-ca.pem'), 'utf8').catch(() => undefined)
  return { nodePort, resolve, proxy, serverCa }
}

/** Another NodePort is another address too, so that the old one is seen not to be used. */
const moved = (): string[] => ['--resolve', `gateway.kyma.local:${fake.gatewayPort}:127.0.0.1`, '--ca-file', twoCas]

test('stores what this run was given, once the gateway has answered, and says so', async () => {
  const before = await route()
  const done = await go(['info', '--save', ...moved()])
  expect(done.code, done.stderr).toBe(0)
  expect(done.stderr).toContain(
    `Stored with the identity "demo": resolve gateway.kyma.local:${fake.gatewayPort}:127.0.0.1; the certificates of the CA file.`,
  )
  expect(await route()).toEqual({
    ...before,
    resolve: [`gateway.kyma.local:${fake.gatewayPort}:127.0.0.1`],
    serverCa: await readFile(twoCas, 'utf8'),
  })
  expect((await go(['info'])).code).toBe(0)
})

test('stores variables as it does flags, and reports them in its JSON', async () => {
  const done = await go(['info', '--save', '--json'], fake.env)
  expect(done.code, done.stderr).toBe(0)
  expect(JSON.parse(done.stdout)).toMatchObject({
    verified: true,
    saved: { nodePort: fake.gatewayPort, resolve: ['*.kyma.local:*:127.0.0.1'], caFile: true },
  })
})

test('"none" clears a value, and the call does without it', async () => {
  const { KYCONNECT_CA_FILE: ca = '' } = fake.env
  const trusted = { NODE_EXTRA_CA_CERTS: ca }
  const done = await go(['info', '--save', '--ca-file', 'none', '--proxy', 'none'], trusted)
  expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('no CA file; no proxy')])
  expect(await route()).toMatchObject({ nodePort: fake.gatewayPort, serverCa: undefined, proxy: null })
  // Nothing listens on the port in the URLs.
  const refused = await go(['info', '--save', '--node-port', 'none'], trusted)
  expect([refused.code, (await route()).nodePort]).toEqual([8, fake.gatewayPort])
  const unresolved = await go(['info', '--save', '--resolve', 'none', '--json'], trusted)
  expect([unresolved.code, jsonError(unresolved).reason]).toEqual([8, expect.stringMatching(/ENOTFOUND|EAI_AGAIN/)])
  expect((await route()).resolve).toHaveLength(1)
})

test('a NodePort and resolve rules are cleared when the gateway is reached without them', async () => {
  const proxyless = { NODE_EXTRA_CA_CERTS: fake.env['KYCONNECT_CA_FILE'] ?? '' }
  const file = join(home, 'demo', 'current', 'identity.json')
  const text = await readFile(file, 'utf8')
  // The URLs of a gateway that listens on the port in them, at a name that resolves.
  await writeFile(
    file,
    text.replaceAll('https://gateway.kyma.local/', `https://gateway.kyma.local:${fake.gatewayPort}/`),
  )
  const done = await go(['info', '--save', '--node-port', 'none', ...moved()], proxyless)
  expect([done.code, (await route()).nodePort], done.stderr).toEqual([0, null])
})

test('nothing is stored when the call fails', async () => {
  const before = await route()
  for (const [status, code] of [
    [500, 7],
    [404, 6],
  ] as const) {
    fake.faults.management = (_, response) => {
      json(response, status, { code: status, error: 'no' })
    }
    expect((await go(['info', '--save', ...moved()])).code).toBe(code)
  }
  fake.faults = {}
  const refused = await go(['info', '--save', '--node-port', '1', '--json', ...moved()])
  expect(jsonError(refused)).toMatchObject({
    exitCode: 8,
    hint: expect.stringContaining('nothing was stored') as unknown,
  })
  expect(await route()).toEqual(before)
  expect(await readdir(join(home, 'demo', 'versions'))).toHaveLength(1)
})

test('what is stored about reaching the gateway is shown, without the credentials of a proxy', async () => {
  const resolve = '*.kyma.local:*:127.0.0.1'
  const lines = await go(['info', '--offline'])
  expect(lines.stdout).toContain(`resolve      ${resolve}\nCA file      stored as server-ca.pem\n`)
  expect(lines.stdout).not.toContain('proxy')
  const unused = ['--proxy', 'http://user:secret@proxy.example:3128']
  const saved = await go(['info', '--save', ...unused], { NO_PROXY: '.kyma.local' })
  expect(saved.code, saved.stderr).toBe(0)
  expect((await go(['info', '--offline'])).stdout).toContain('proxy        http://proxy.example:3128\n')
  expect(JSON.parse((await go(['info', '--offline', '--json'])).stdout)).toMatchObject({
    route: { nodePort: fake.gatewayPort, resolve: [resolve], caFile: true, proxy: 'http://proxy.example:3128' },
  })
})

test('a stored NodePort where nothing listens any more is named, with the command that stores another one', async () => {
  const file = join(home, 'demo', 'current', 'identity.json')
  await writeFile(file, (await readFile(file, 'utf8')).replace(/"nodePort": \d+/, '"nodePort": 1'))
  const hint = 'kyconnect info --profile demo --save --node-port <port>'
  for (const args of [['info'], ['call', 'metadata'], ['renew']])
    expect(jsonError(await go([...args, '--json'])).hint, args.join(' ')).toContain(hint)
  // A port on the command line is not the stored one.
  expect(jsonError(await go(['info', '--node-port', '2', '--json'])).hint).not.toContain(hint)
})

test.each([
  ['--insecure', ['--insecure', '--node-port', '30443'], {}],
  ['KYCONNECT_INSECURE', ['--node-port', '30443'], { KYCONNECT_INSECURE: '1' }],
  ['--offline', ['--offline', '--node-port', '30443'], {}],
  ['nothing to store', [], {}],
  ['another rule beside none', ['--resolve', 'none', '--resolve', '*.kyma.local:*:127.0.0.1'], {}],
])('%s is refused with 2, before anything is called', async (_, args, env) => {
  const before = await route()
  fake.requests.length = 0
  const done = await go(['info', '--save', '--json', ...args], env)
  expect([done.code, done.stdout]).toEqual([2, ''])
  expect(fake.requests).toEqual([])
  expect(await route()).toEqual(before)
})

test('a CA file that is too large to be read back is refused with 2, and the identity stays usable', async () => {
  const large = join(folder.path, 'large.pem')
  await writeFile(large, (await readFile(twoCas, 'utf8')).repeat(1000))
  fake.requests.length = 0
  for (const args of [
    ['info', '--save'],
    ['pair', '--force', '--url', '-'],
  ])
    expect((await go([...args, '--ca-file', large], {}, fake.tokenUrl)).code).toBe(2)
  expect(fake.requests).toEqual([])
  expect((await go(['info', ...moved()])).code).toBe(0)
})

test('"none" is a port, a rule and a file as any other without --save', async () => {
  expect((await go(['info', '--node-port', 'none'])).code).toBe(2)
  expect((await go(['info', '--resolve', 'none'])).code).toBe(2)
  expect((await go(['info', '--ca-file', 'none'])).code).toBe(9)
})

test('the proxy of HTTPS_PROXY is not stored, and one of --proxy is shown without its credentials', async () => {
  const unused = { NO_PROXY: '.kyma.local' }
  const env = { ...fake.env, ...unused, HTTPS_PROXY: 'http://user:secret@127.0.0.1:9' }
  expect((await go(['info', '--save'], env)).code).toBe(0)
  expect((await route()).proxy).toBeNull()
  const done = await go(['info', '--save', '--proxy', 'http://user:secret@proxy.local:3128'], unused)
  expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('proxy http://proxy.local:3128.')])
  expect(done.stderr).not.toContain('secret')
  expect((await route()).proxy).toBe('http://user:secret@proxy.local:3128/')
})

test('a rollback restores the certificate before, with the way that its gateway was reached', async () => {
  const before = await route()
  const renewed = await go(['renew'])
  expect(renewed.code, renewed.stderr).toBe(0)
  expect((await go(['info', '--save', ...moved()])).code).toBe(0)
  const key = await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')
  expect((await go(['rollback'])).code).toBe(0)
  expect(await route()).toEqual(before)
  expect(await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')).not.toBe(key)
  expect((await go(['rollback'])).code).toBe(0)
  expect(await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')).toBe(key)
  expect((await route()).serverCa).toBe(await readFile(twoCas, 'utf8'))
})
