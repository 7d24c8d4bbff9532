import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { authorityFromPem, createServerAuthority } from '../../../src/sandbox/pki/authority.js'
import { issueClusterCertificate, issueServerCertificate } from '../../../src/sandbox/pki/issue.js'
import type { Sandbox } from '../../../src/sandbox/sandbox.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clientKey, pair } from '../identity.js'
import { send, startTestSandbox, type Reply } from '../wire.js'
import { APPLICATIONS, clusterWire, SECRETS, TOKEN_REQUESTS, type ClusterWire } from './cluster.js'

let sandbox: Sandbox
let cluster: ClusterWire
let stateDirectory: string
beforeAll(async () => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'sandbox-authentication-'))
  sandbox = await startTestSandbox({ stateDirectory })
  cluster = clusterWire(sandbox)
})
afterAll(async () => {
  await sandbox.close()
  rmSync(stateDirectory, { recursive: true, force: true })
})

const inKubeconfig = (name: string): string => {
  const config = readFileSync(sandbox.ready.kubeconfig, 'utf8')
  return Buffer.from(new RegExp(`${name}: (.*)`).exec(config)?.[1] ?? '', 'base64').toString()
}
const kubeconfigCertificate = (): { cert: string; key: string } => ({
  cert: inKubeconfig('client-certificate-data'),
  key: inKubeconfig('client-key-data'),
})
const list = (call: object): Promise<Reply> => send(cluster.server + TOKEN_REQUESTS, { ca: cluster.ca, ...call })
const DAY_MS = 24 * 60 * 60 * 1000

describe('the Kubernetes API', () => {
  test('accepts the certificate of the kubeconfig in place of the token', async () => {
    expect((await list({})).status).toBe(401)
    expect((await list(kubeconfigCertificate())).status).toBe(200)
    const headers = { authorization: 'Bearer wrong' }
    expect((await list({ headers })).status).toBe(401)
    expect((await list({ ...kubeconfigCertificate(), headers })).status).toBe(200)
  })

  test('accepts it over HTTP/2', async () => {
    const session = connectHttp2(cluster.server, { ca: cluster.ca, ...kubeconfigCertificate() })
    try {
      const stream = session.request({ ':path': TOKEN_REQUESTS })
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
      expect(headers[':status']).toBe(200)
    } finally {
      session.destroy()
    }
  })

  test('refuses every other certificate', async () => {
    const authority = authorityFromPem(readFileSync(join(stateDirectory, 'server-ca.pem'), 'utf8'))
    const now = new Date()
    const at = (days: number): Date => new Date(now.getTime() + days * DAY_MS)
    const other = await issueClusterCertificate(await createServerAuthority(now), now, 'sandbox')
    const wrongKey = { certificate: authority.certificate, key: (await createServerAuthority(now)).key }
    const forged = await issueClusterCertificate(wrongKey, now, 'sandbox')
    const expired = await issueClusterCertificate(authority, at(-400), 'sandbox')
    const early = await issueClusterCertificate(authority, at(1), 'sandbox')
    const server = await issueServerCertificate(authority, now, ['localhost'])
    for (const { certificate: cert, key } of [other, forged, expired, early, server])
      expect((await list({ cert, key })).status).toBe(401)
    expect((await list(await pair(sandbox, 'demo'))).status).toBe(401)
    // The token counts when the certificate does not.
    const headers = { authorization: `Bearer ${cluster.token}` }
    expect((await list({ cert: other.certificate, key: other.key, headers })).status).toBe(200)
  })

  test('issues certificates that only the API server accepts: the gateway refuses them', async () => {
    const { ready } = sandbox
    const url = `https://gateway.kyma.local:${ready.gatewayPort}/v1/applications/management/info`
    const reply = await send(url, { ca: cluster.ca, ...kubeconfigCertificate() })
    expect([reply.status, reply.body]).toEqual([400, expect.stringContaining('The SSL certificate error')])
    expect(clientKey).not.toBe(kubeconfigCertificate().key)
  })

  test.each(['localhost', 'kubernetes', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'])(
    'has a certificate for the server name %s',
    async (servername) => {
      const socket = connectTls({
        port: Number(new URL(cluster.server).port),
        host: '127.0.0.1',
        ca: cluster.ca,
        servername,
      })
      await once(socket, 'secureConnect')
      expect(socket.authorized).toBe(true)
      socket.destroy()
    },
  )

  test('denies to the user of the certificate what it denies to that of the token', async () => {
    const denied = await startTestSandbox({ deny: [{ verb: 'list', resource: 'tokenrequests' }] })
    try {
      const { server, ca } = clusterWire(denied)
      const config = readFileSync(denied.ready.kubeconfig, 'utf8')
      const field = (name: string): string =>
        Buffer.from(new RegExp(`${name}: (.*)`).exec(config)?.[1] ?? '', 'base64').toString()
      const cert = field('client-certificate-data')
      const reply = await send(server + TOKEN_REQUESTS, { ca, cert, key: field('client-key-data') })
      expect([reply.status, reply.body]).toEqual([403, expect.stringContaining('User \\"sandbox\\" cannot list')])
      expect(new X509Certificate(cert).subject).toBe('O=system:masters\nCN=sandbox')
    } finally {
      await denied.close()
    }
  })
})

describe('a watcher that does not read', () => {
  const open: Sandbox[] = []
  afterEach(() => Promise.all(open.splice(0).map((one) => one.close())))
  const MIB = 1024 * 1024

  test('is dropped at a bound, while one that reads goes on', async () => {
    const lines: string[] = []
    const busy = await startTestSandbox({ log: (line) => lines.push(line), limits: { maxUnreadBytes: 2 * MIB } })
    open.push(busy)
    const { call, watch, server, token, ca } = clusterWire(busy)
    const reader = await watch(`${SECRETS}?watch=true`)
    const socket = connectTls({ port: Number(new URL(server).port), host: '127.0.0.1', servername: 'localhost', ca })
    socket.on('error', () => undefined)
    await once(socket, 'secureConnect')
    socket.pause()
    socket.write(`GET ${SECRETS}?watch=true&lazy=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`)
    // Secrets of 1 MiB: what the system buffers itself is some MiB.
    const stringData = { a: 'x'.repeat(MIB * 0.7) }
    await call('POST', SECRETS, { metadata: { name: 's' }, stringData })
    let sent = 1
    for (; sent < 60 && !lines.some((line) => line.includes('lazy=true')); sent++)
      await call('PATCH', `${SECRETS}/s`, { metadata: { labels: { sent: String(sent) } } })
    expect(lines.filter((line) => line.includes('lazy=true'))).toHaveLength(1)
    expect(sent).toBeLessThan(60)
    let bytes = 0
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
    socket.resume()
    await once(socket, 'close')
    expect(bytes).toBeLessThan(sent * MIB)
    expect((await reader.reach(sent)).length).toBe(sent)
    expect((await call('GET', APPLICATIONS)).status).toBe(200)
  })
})
