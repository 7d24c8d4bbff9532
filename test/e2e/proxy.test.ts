import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import * as tls from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeAuthority, makeServerCertificate, temporaryFolder } from '../support/certificates.js'
import { type FakeCluster, startFakeCluster } from '../support/fake-cluster.js'
import { type FakeKyma, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, root, run as runProcess, type Run } from '../support/kyconnect.js'
import { startTinyproxy, type Tinyproxy } from '../support/tinyproxy.js'

const [user, password] = ['shop', 'pa55-of-the-proxy'] as const
let fake: FakeKyma
let proxy: Tinyproxy
let guarded: Tinyproxy
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''
let homes = 0

beforeAll(async () => {
  ;[fake, proxy, guarded, folder] = await Promise.all([
    startFakeKyma(),
    startTinyproxy(),
    startTinyproxy({ credentials: [user, password] }),
    temporaryFolder('proxy'),
  ])
})
afterAll(async () => {
  await Promise.all([fake.stop(), proxy.stop(), guarded.stop()])
  await folder.remove()
})
beforeEach(() => {
  fake.faults = {}
  home = join(folder.path, `home-${homes++}`)
})

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  return kyconnect([...args, '--timeout', '20'], {
    env: { ...fake.env, KYCONNECT_HOME: home, ...env },
    input: fake.tokenUrl,
  })
}

const pair = (args: readonly string[] = [], env: Record<string, string> = {}): Promise<Run> =>
  run(['pair', '--json', '--url', '-', ...args], env)

/** A server that the test speaks for itself, on loopback. */
async function startServer(
  server: Server,
  onSocket: (socket: Socket) => void,
): Promise<{ port: number; stop(): void }> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  server.on('tlsClientError', () => undefined)
  server.on(server instanceof tls.Server ? 'secureConnection' : 'connection', onSocket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

describe('a proxy of the environment', () => {
  test.each(['HTTPS_PROXY', 'https_proxy'])('%s carries the pairing, with mutual TLS inside', async (name) => {
    const before = (await proxy.tunnels()).length
    const done = await pair(['--verbose'], { [name]: proxy.url })
    expect(done.code, done.stderr).toBe(0)
    expect((await proxy.tunnels()).slice(before)).toEqual([
      `127.0.0.1:${fake.connectorPort}`,
      `127.0.0.1:${fake.gatewayPort}`,
    ])
    expect(done.stderr).toContain(`through the proxy 127.0.0.1:${proxy.port}`)
    expect(JSON.parse(await readFile(join(home, 'demo', 'current', 'identity.json'), 'utf8'))).toMatchObject({
      proxy: null,
    })
  })

  test.each([
    '*',
    'kyma.local',
    '.kyma.local',
    'other.example,*.kyma.local',
    'connector-service.kyma.local gateway.kyma.local',
  ])('is not used for the hosts of NO_PROXY=%s', async (except) => {
    const before = (await proxy.tunnels()).length
    const done = await pair([], { HTTPS_PROXY: proxy.url, NO_PROXY: except })
    expect(done.code, done.stderr).toBe(0)
    expect(await proxy.tunnels()).toHaveLength(before)
  })
})

describe("the cluster's API", () => {
  let cluster: FakeCluster
  beforeAll(async () => {
    cluster = await startFakeCluster()
    cluster.applications.add('demo')
    cluster.tokenUrl = fake.tokenUrl
  })
  afterAll(() => cluster.stop())

  const askToken = (args: readonly string[], env: Record<string, string>): Promise<Run> =>
    run(['token', '--app', 'demo', '--verbose', ...args], { KUBECONFIG: cluster.kubeconfig, ...env })

  test.each<[string, string[], (url: string) => Record<string, string>]>([
    ['the environment', [], (url) => ({ HTTPS_PROXY: url })],
    ['the command line', ['--proxy'], () => ({ HTTPS_PROXY: 'http://127.0.0.1:9' })],
  ])('is reached through the proxy of %s, and --verbose names it', async (_, flags, env) => {
    const before = (await proxy.tunnels()).length
    const done = await askToken(flags.length === 0 ? [] : [...flags, proxy.url], env(proxy.url))
    expect(done.code, done.stderr).toBe(0)
    const tunnels = (await proxy.tunnels()).slice(before)
    expect(tunnels).toContain(`localhost:${cluster.port}`)
    expect(done.stderr).toContain(`through the proxy 127.0.0.1:${proxy.port}`)
  })

  test('is named with its proxy when that fails, and reached without it by NO_PROXY', async () => {
    const dead = { HTTPS_PROXY: 'http://127.0.0.1:9' }
    const failed = await askToken(['--json'], dead)
    expect([failed.code, jsonError(failed).message]).toEqual([8, expect.stringContaining('http://127.0.0.1:9')])
    expect((await askToken([], { ...dead, NO_PROXY: 'localhost' })).code).toBe(0)
  })
})

test('an HTTPS_PROXY that is not usable is an error, and not bypassed; what calls nothing works all the same', async () => {
  expect((await pair()).code).toBe(0)
  for (const value of ['socks5://127.0.0.1:9', `ftp://u:${password}@x`]) {
    const failed = await run(['call', 'info', '--json'], { HTTPS_PROXY: value })
    expect([failed.code, jsonError(failed).message]).toEqual([2, 'HTTPS_PROXY is not a valid proxy URL'])
    expect(failed.stderr).not.toContain(password)
    const env = { HTTPS_PROXY: value, KYCONNECT_CA_FILE: '/nowhere/ca.pem' }
    const offline = await run(['info', '--offline'], env)
    expect(offline.code, offline.stderr).toBe(0)
  }
})

describe('a proxy of the command line', () => {
  test('is stored with the identity, counts before the environment, and its password is shown nowhere', async () => {
    const url = `http://${user}:${password}@127.0.0.1:${guarded.port}`
    const before = (await guarded.tunnels()).length
    const paired = await pair(['--proxy', url, '--verbose'], { HTTPS_PROXY: 'http://127.0.0.1:9' })
    expect(paired.code, paired.stderr).toBe(0)
    const info = await run(['info', '--verbose'])
    expect(info.code, info.stderr).toBe(0)
    expect((await guarded.tunnels()).length - before).toBe(3)
    const without = await run(['call', 'info', '--proxy', 'none'])
    expect(without.code, without.stderr).toBe(0)
    expect((await guarded.tunnels()).length - before).toBe(3)
    const refused = await run(['call', 'info', '--json', '--proxy', `http://${user}:wrong@127.0.0.1:${guarded.port}`])
    expect([refused.code, jsonError(refused).message]).toEqual([8, expect.stringContaining('refused the credentials')])
    for (const { stdout, stderr } of [paired, info, without, refused]) {
      expect(stdout + stderr).not.toContain(password)
      expect(stdout + stderr).not.toContain(Buffer.from(`${user}:${password}`).toString('base64'))
    }
  })

  test('that is stored carries the calls of a program', async () => {
    const paired = await pair(['--proxy', `http://${user}:${password}@127.0.0.1:${guarded.port}`])
    expect(paired.code, paired.stderr).toBe(0)
    const before = (await guarded.tunnels()).length
    const source = `
      import { openIdentity } from ${JSON.stringify(join(root, 'dist', 'index.js'))}
      const identity = await openIdentity({ store: ${JSON.stringify(home)} })
      console.log((await identity.fetch('info')).status)
      await identity.close()
    `
    const called = await runProcess(process.execPath, ['--input-type=module', '--eval', source])
    expect([called.code, called.stdout], called.stderr).toEqual([0, '200\n'])
    expect((await guarded.tunnels()).slice(before)).toEqual([`127.0.0.1:${fake.gatewayPort}`])
  })

  test('that is not a URL is refused without repeating it', async () => {
    const refused = await pair(['--proxy', `ftp://u:${password}@x`])
    expect([refused.code, jsonError(refused).code]).toEqual([2, 'ERR_USAGE'])
    expect(refused.stderr).not.toContain(password)
  })
})

describe('a proxy that fails is named, and nothing is sent past it', () => {
  test('where nothing listens', async () => {
    const failed = await pair(['--proxy', 'http://127.0.0.1:9'])
    expect([failed.code, jsonError(failed).message]).toEqual([
      8,
      'the proxy http://127.0.0.1:9 cannot be reached: connection refused',
    ])
    expect(jsonError(failed).hint).toContain('NO_PROXY')
    expect(jsonError(failed).target).toEqual({ host: '127.0.0.1', address: '127.0.0.1', port: 9 })
  })

  test('when it requires credentials', async () => {
    const failed = await pair(['--proxy', guarded.url])
    expect([failed.code, jsonError(failed).message]).toEqual([
      8,
      `the proxy http://127.0.0.1:${guarded.port} requires credentials (407)`,
    ])
  })

  test('when it forbids the port', async () => {
    const strict = await startTinyproxy({ connectPorts: [443] })
    const failed = await pair(['--proxy', strict.url])
    await strict.stop()
    expect([failed.code, jsonError(failed).reason]).toEqual([8, 'PROXY_403'])
    expect(jsonError(failed).message).toContain('did not connect to connector-service.kyma.local')
  })

  test.each([
    ['speaks something else', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['answers without an end', 'x'.repeat(40_000)],
    ['answers a bad status', 'HTTP/1.1 abc\r\n\r\n'],
  ])('when it %s', async (_, answer) => {
    const odd = await startServer(createServer(), (socket) => socket.once('data', () => socket.write(answer)))
    const failed = await pair(['--proxy', `http://127.0.0.1:${odd.port}`])
    odd.stop()
    expect([failed.code, jsonError(failed).reason]).toEqual([8, 'PROXY_ANSWER'])
  })

  test('when it never answers: the time limit ends it', async () => {
    const silent = await startServer(createServer(), () => undefined)
    const failed = await kyconnect(
      ['pair', '--json', '--url', '-', '--timeout', '4', '--proxy', `http://127.0.0.1:${silent.port}`],
      { env: { ...fake.env, KYCONNECT_HOME: home }, input: fake.tokenUrl },
    )
    silent.stop()
    expect([failed.code, jsonError(failed).code]).toEqual([8, 'ERR_TIMEOUT'])
    expect(jsonError(failed).hint).toContain('the proxy 127.0.0.1')
  })
})

/** A proxy that speaks TLS itself; `seen` gets what it connects to. */
function startSecureProxy(
  { cert, key }: { cert: string; key: string },
  seen: string[],
): ReturnType<typeof startServer> {
  return startServer(tls.createServer({ cert, key }), (socket) => {
    socket.once('data', (head: Buffer) => {
      const [, authority = ''] = head.toString('latin1').split(' ')
      seen.push(authority)
      const upstream = connect(Number(authority.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        socket.pipe(upstream).pipe(socket)
      })
      upstream.on('error', () => socket.destroy())
    })
  })
}

test('an https proxy of a company, whose CA is in SSL_CERT_FILE, is trusted beside the CA of the cluster', async () => {
  const company = await makeAuthority(folder.path, 'company', 'rsa')
  const secure = await startSecureProxy(await makeServerCertificate(folder.path, company, ['localhost']), [])
  const done = await pair(['--proxy', `https://localhost:${secure.port}`], { SSL_CERT_FILE: company.certificateFile })
  secure.stop()
  expect(done.code, done.stderr).toBe(0)
})

test('an https proxy carries it as well, trusted through the same CA file', async () => {
  const seen: string[] = []
  const secure = await startSecureProxy(
    await makeServerCertificate(folder.path, fake.serverAuthority, ['localhost']),
    seen,
  )
  const url = `https://localhost:${secure.port}`
  const done = await pair(['--proxy', url])
  const untrusted = await run(['info', '--json', '--ca-file', fake.clientAuthority.certificateFile])
  secure.stop()
  expect(done.code, done.stderr).toBe(0)
  expect(seen).toEqual([`127.0.0.1:${fake.connectorPort}`, `127.0.0.1:${fake.gatewayPort}`])
  expect([untrusted.code, jsonError(untrusted).message]).toEqual([
    8,
    expect.stringContaining(`the proxy ${url} cannot be reached`),
  ])
})
