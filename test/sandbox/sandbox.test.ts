import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, test } from 'vitest'
import { SandboxOptionError, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.js'
import { pair } from './identity.js'
import { send, startTestSandbox, wireTo } from './wire.js'

const open: Sandbox[] = []
afterEach(() => Promise.all(open.splice(0).map((sandbox) => sandbox.close())))

async function start(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
  const sandbox = await startTestSandbox(options)
  open.push(sandbox)
  return sandbox
}

const connected = (port: number, host = '127.0.0.1'): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host, timeout: 2000 })
    socket.on('connect', () => {
      resolve(socket)
    })
    socket.on('error', reject)
    socket.on('timeout', () => socket.destroy(new Error('timeout')))
  })

describe('a sandbox that is ready reports', () => {
  test('the URLs, ports and environment of its hosts', async () => {
    const { ready, forProxy } = await start({ domain: 'kyma.example.com', apps: ['shop', 'erp'] })
    const { connectorUrl, gatewayPort, caFile, tokenUrls } = ready
    expect(connectorUrl).toMatch(/^https:\/\/connector-service\.kyma\.example\.com:\d+$/)
    expect(ready.internalUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(Object.keys(tokenUrls)).toEqual(['shop', 'erp'])
    expect(tokenUrls['shop']?.replace(/[\w-]{86}==$/, 'T')).toBe(
      `${connectorUrl}/v1/applications/signingRequests/info?token=T`,
    )
    expect(ready.env).toEqual({
      KYCONNECT_CA_FILE: caFile,
      KYCONNECT_NODE_PORT: String(gatewayPort),
      KYCONNECT_RESOLVE: '*.kyma.example.com:*:127.0.0.1',
      KUBECONFIG: ready.kubeconfig,
    })
    expect(forProxy).toBeUndefined()
  })

  test('tokens that work at once, before the CA has its key', async () => {
    const sandbox = await start()
    const replies = await Promise.all(
      ['demo', 'shop'].map((app) => wireTo(sandbox).connector(path(sandbox.ready.tokenUrls[app]))),
    )
    expect(replies.map(({ status }) => status)).toEqual([200, 200])
  })

  const path = (url = ''): string => url.replace(/^https:\/\/[^/]+/, '')
})

describe('a sandbox', () => {
  test('listens on the loopback address only', async () => {
    const { ready } = await start({ servicesPort: 0 })
    const others = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4')
    for (const { address } of others) {
      for (const port of [
        ready.gatewayPort,
        Number(new URL(ready.connectorUrl).port),
        Number(new URL(ready.internalUrl).port),
      ]) {
        await expect(connected(port, address)).rejects.toThrow('ECONNREFUSED')
      }
    }
  })

  test('closes at once, although clients are still connected', async () => {
    const sandbox = await startTestSandbox()
    const { ready } = sandbox
    const identity = await pair(sandbox, 'demo')
    const authority = { ca: readFileSync(ready.caFile), servername: `gateway.${ready.domain}`, ...identity }
    const connectorPort = Number(new URL(ready.connectorUrl).port)
    const idle = await Promise.all([ready.gatewayPort, connectorPort].map((port) => connected(port)))
    const secure = connectTls({ port: ready.gatewayPort, host: '127.0.0.1', ...authority })
    // A request whose body never arrives.
    secure.write('POST /demo/v1/events HTTP/1.1\r\nhost: gateway.kyma.local\r\ncontent-length: 9\r\n\r\n')
    const http2 = connectHttp2(`https://gateway.kyma.local:${ready.gatewayPort}`, {
      createConnection: () =>
        connectTls({ port: ready.gatewayPort, host: '127.0.0.1', ALPNProtocols: ['h2'], ...authority }),
    })
    await Promise.all([once(secure, 'secureConnect'), once(http2, 'remoteSettings')])
    for (const left of [secure, http2]) left.on('error', () => undefined)
    const ended = Promise.all([...idle, secure, http2].map((connection) => once(connection, 'close')))
    const started = performance.now()
    await sandbox.close()
    await ended
    // The time limits of the connections are a minute and more.
    expect(performance.now() - started).toBeLessThan(20_000)
    await expect(connected(ready.gatewayPort)).rejects.toThrow('ECONNREFUSED')
  })

  test('recognises a client that resumes its TLS session', async () => {
    const sandbox = await start()
    const identity = await pair(sandbox, 'demo')
    const { ready } = sandbox
    const ask = async (session?: Buffer): Promise<{ session: Buffer; status: string; resumed: boolean }> => {
      const socket = connectTls({
        port: ready.gatewayPort,
        host: '127.0.0.1',
        servername: 'gateway.kyma.local',
        ca: readFileSync(ready.caFile),
        ...identity,
        ...(session && { session }),
      })
      const ticket = new Promise<Buffer>((resolve) => socket.once('session', resolve))
      const answer = once(socket, 'data')
      socket.write('GET /v1/applications/management/info HTTP/1.1\r\nhost: gateway.kyma.local\r\n\r\n')
      const status = String(await answer).split('\r\n', 1)[0] ?? ''
      const result = { session: session ?? (await ticket), status, resumed: socket.isSessionReused() }
      socket.destroy()
      return result
    }
    const first = await ask()
    expect(first).toMatchObject({ status: 'HTTP/1.1 200 OK', resumed: false })
    expect(await ask(first.session)).toMatchObject({ status: 'HTTP/1.1 200 OK', resumed: true })
  })

  test('answers on each port for its own host only', async () => {
    const sandbox = await start()
    const identity = await pair(sandbox, 'demo')
    const { gateway, connector } = wireTo(sandbox)
    const elsewhere = { headers: { host: 'elsewhere.kyma.local' } }
    expect((await gateway('/v1/applications/management/info', { ...identity, ...elsewhere })).body).toBe(
      'default backend - 404',
    )
    expect(await connector('/v1/applications/certificates', elsewhere)).toMatchObject({ status: 404, body: '' })
    const capitals = { headers: { host: 'GATEWAY.kyma.local' } }
    expect((await gateway('/v1/applications/management/info', { ...identity, ...capitals })).status).toBe(200)
  })

  test('writes a line for each request, without the token however it is spelled', async () => {
    const lines: string[] = []
    const sandbox = await start({ log: (line) => lines.push(line), now: () => new Date('2026-01-02T03:04:05.678Z') })
    const { connector, newToken, gateway } = wireTo(sandbox)
    const token = await newToken('demo')
    await connector(`/v1/applications/signingRequests/info?a=b&tok%65n=${token}&c`)
    await gateway(`/v1/applications/signingRequests/info?token=${token}`)
    expect(lines.map((line) => line.replace(/\d+ms$/, '0ms'))).toEqual([
      '2026-01-02T03:04:05.678Z internal POST /v1/applications/tokens 201 0ms',
      '2026-01-02T03:04:05.678Z connector GET /v1/applications/signingRequests/info?a=b&tok%65n=REDACTED&c 200 0ms',
      '2026-01-02T03:04:05.678Z gateway GET /v1/applications/signingRequests/info?token=REDACTED 400 0ms',
    ])
  })

  test('survives bytes that are neither HTTP nor TLS, and connections that break', async () => {
    const sandbox = await start()
    const { ready } = sandbox
    const ports = [ready.gatewayPort, Number(new URL(ready.connectorUrl).port), Number(new URL(ready.internalUrl).port)]
    for (const port of ports) {
      for (const bytes of [
        '\x16\x03\x01\xff\xff nonsense',
        'nonsense\r\n\r\n',
        'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx',
        '',
      ]) {
        const socket = await connected(port)
        socket.on('error', () => undefined)
        socket.end(bytes, 'latin1')
        await new Promise((resolve) => setTimeout(resolve, 10))
        socket.resetAndDestroy()
      }
    }
    expect((await wireTo(sandbox).connector('/')).status).toBe(404)
    expect((await wireTo(sandbox).gateway('/')).status).toBe(400)
  })

  test('limits the size of bodies where no ingress does', async () => {
    const sandbox = await start()
    const body = 'x'.repeat(9 * 1024 * 1024)
    const { internal, connector } = wireTo(sandbox)
    expect((await internal('/v1/applications/certificates/revocations', { method: 'POST', body })).status).toBe(413)
    expect((await connector('/v1/applications/certificates', { method: 'POST', body })).status).toBe(413)
  })

  test('refuses a certificate that another sandbox signed', async () => {
    const [one, other] = [await start(), await start()]
    const identity = await pair(one, 'demo')
    const reply = await wireTo(other).gateway('/v1/applications/management/info', identity)
    expect([reply.status, reply.body]).toEqual([400, expect.stringContaining('The SSL certificate error')])
  })
})

describe('options', () => {
  test.each([
    [{ domain: 'kyma..local' }, '"kyma..local" is not a domain'],
    [{ domain: 'https://kyma.local' }, 'is not a domain'],
    [{ domain: '' }, 'is not a domain'],
    [{ domain: `${'a'.repeat(60)}.`.repeat(4) + 'local' }, 'is not a domain'],
    [{ apps: [''] }, '"" is not a name for an App'],
    [{ apps: ['demo', 'my app/1,O=x'] }, '"my app/1,O=x" is not a name for an App'],
    [{ apps: ['Bad_Name'] }, '"Bad_Name" is not a name for an App'],
    [{ apps: ['a..b'] }, '"a..b" is not a name for an App'],
    [{ apps: [`a${'.a'.repeat(127)}`] }, 'is not a name for an App'],
    [{ tokenTtlSeconds: 0 }, 'tokenTtlSeconds must be a whole number of seconds'],
    [{ validitySeconds: 1.5 }, 'validitySeconds must be a whole number of seconds'],
    [{ gatewayPort: 65536 }, 'gatewayPort must be a port'],
  ])('like %j are refused: %s', async (options, message) => {
    const failure = start(options)
    await expect(failure).rejects.toThrow(message)
    await expect(failure).rejects.toBeInstanceOf(SandboxOptionError)
  })
})

test('another proxy can replace the gateway, with the files that it needs', async () => {
  const { forProxy } = await start({ servicesPort: 0 })
  const headers = { 'Client-Certificate-Subject': 'CN=demo,O=Organization,C=DE' }
  const services = forProxy?.servicesUrl ?? ''
  const reply = await send(`${services}/v1/applications/management/info`, { headers })
  expect(reply.body).toContain('"application":"demo"')
  expect((await send(`${services}/%0A/v1/metadata`)).headers.location).toBe('/%0A/v1/metadata/api.yaml')
  expect((await send(`${services}/%FF/v1/metadata`)).status).toBe(400)
})
