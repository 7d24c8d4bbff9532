import { readFile } from 'node:fs/promises'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AnswerMalformedError, KyconnectError, NetworkError, ServerCertificateError } from '../../src/errors.js'
import { Redactor } from '../../src/redaction.js'
import { HttpClient } from '../../src/transport/client.js'
import { noProxy } from '../../src/transport/proxy.js'
import type { Route, Trust } from '../../src/transport/route.js'
import {
  type Authority,
  makeAuthority,
  makeServerCertificate,
  openssl,
  signCsr,
  temporaryFolder,
} from '../support/certificates.js'

/** What the server does with a request; `peer` is the common name of the client certificate. */
type Handler = (request: { url: string; peer: string }) => {
  status?: number
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  delayMs?: number
  cut?: boolean
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let authority: Authority
let server: https.Server
let ca = ''
let port = 0
let handle: Handler
let connections = 0
const clients: HttpClient[] = []

beforeAll(async () => {
  folder = await temporaryFolder('client')
  authority = await makeAuthority(folder.path, 'ca', 'rsa')
  ca = await readFile(authority.certificateFile, 'utf8')
  const names = ['gateway.kyma.local', 'accepted.example', 'elsewhere.example']
  const { cert, key } = await makeServerCertificate(folder.path, authority, names)
  server = https.createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const { socket } = request
    const subject: unknown = socket instanceof TLSSocket ? socket.getPeerCertificate().subject : undefined
    const peer = typeof subject === 'object' && subject !== null ? String(Reflect.get(subject, 'CN')) : 'none'
    const {
      status = 200,
      headers = {},
      body = '{}',
      delayMs = 0,
      cut = false,
    } = handle({
      url: request.url ?? '',
      peer,
    })
    setTimeout(() => {
      if (cut) socket.destroy()
      else response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
    }, delayMs)
  })
  server.on('secureConnection', () => connections++)
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await folder.remove()
})
beforeEach(() => {
  connections = 0
  handle = () => ({})
})

async function client(
  more: Partial<Route> = {},
  trust: Partial<Trust> = {},
  signal?: AbortSignal,
  trace?: (line: string) => void,
): Promise<HttpClient> {
  const keyFile = join(folder.path, 'client.key')
  const csr = await openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile, '-subj', '/CN=demo')
  const [chain, key] = [await signCsr(folder.path, authority, csr), await readFile(keyFile, 'utf8')]
  const made = new HttpClient(
    {
      nodePort: null,
      gatewayHost: 'gateway.kyma.local',
      clientCertificate: { chain, key },
      certificateHosts: ['gateway.kyma.local', 'accepted.example'],
      resolve: [
        { host: '*.example', port: null, address: '127.0.0.1' },
        { host: '*.local', port: null, address: '127.0.0.1' },
      ],
      trust: { ca, caOnly: false, rootFiles: [], systemRootFiles: [], insecure: false, ...trust },
      proxy: noProxy,
      timeoutMs: 30_000,
      connections: 3,
      ...more,
    },
    {
      redactor: new Redactor(),
      trace,
      signal: signal ?? new AbortController().signal,
      now: () => performance.now(),
      sleep: () => Promise.resolve(),
    },
  )
  clients.push(made)
  return made
}

const at = (host: string, path = '/'): URL => new URL(`https://${host}:${port}${path}`)
const get = (http: HttpClient, url: URL): ReturnType<HttpClient['send']> => http.send({ method: 'GET', url }, 'never')

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a server that is not trusted receives no request; the client certificate reaches it with TLS 1.2 (%s)',
  async (version) => {
    const { cert, key } = await makeServerCertificate(folder.path, authority, ['gateway.kyma.local'])
    const seen: string[] = []
    const untrusted = https.createServer(
      { cert, key, requestCert: true, rejectUnauthorized: false, minVersion: version, maxVersion: version },
      () => seen.push('request'),
    )
    untrusted.on('secureConnection', (socket) => {
      const { CN } = socket.getPeerCertificate().subject
      seen.push(String(CN))
    })
    untrusted.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => untrusted.listen(0, '127.0.0.1', resolve))
    try {
      const url = new URL(`https://gateway.kyma.local:${(untrusted.address() as AddressInfo).port}/`)
      const http = await client({}, { ca: null, caOnly: true })
      await expect(get(http, url)).rejects.toBeInstanceOf(ServerCertificateError)
    } finally {
      // Ends once the server has handled what the client sent.
      await new Promise((resolve) => untrusted.close(resolve))
    }
    expect(seen).toEqual(version === 'TLSv1.2' ? ['demo'] : [])
  },
)

test('the client certificate is presented to the hosts that may see it, and to no other', async () => {
  const seen: string[] = []
  handle = ({ peer }) => {
    seen.push(peer)
    return {}
  }
  const http = await client()
  for (const host of ['gateway.kyma.local', 'accepted.example', 'elsewhere.example']) await get(http, at(host))
  expect(seen).toEqual(['demo', 'demo', 'none'])
})

test('the client certificate is presented to a gateway that is an IPv6 address', async () => {
  const seen: string[] = []
  handle = ({ peer }) => {
    seen.push(peer)
    return {}
  }
  const http = await client({
    gatewayHost: '[::1]',
    certificateHosts: ['[::1]'],
    resolve: [{ host: '::1', port: null, address: '127.0.0.1' }],
    serverName: 'gateway.kyma.local',
  })
  await get(http, at('[::1]'))
  expect(seen).toEqual(['demo'])
})

test('of several places that a redirect names, the first is called', async () => {
  handle = ({ url }) => (url === '/' ? { status: 302, headers: { location: ['/first', '/second'] } } : { body: url })
  const http = await client()
  const answer = await http.stream({ method: 'GET', url: at('gateway.kyma.local') })
  expect([answer.status, answer.url.pathname]).toEqual([200, '/first'])
})

test('the credentials in a URL are not shown by --verbose', async () => {
  const lines: string[] = []
  const http = await client({}, {}, undefined, (line) => lines.push(line))
  await get(http, new URL(`https://admin:pa55word@gateway.kyma.local:${port}/x`))
  expect(lines).toContain(`> GET https://gateway.kyma.local:${port}/x`)
  expect(lines.join('\n')).not.toContain('pa55word')
})

describe('requests at the same time', () => {
  test('share the connections that the route allows, which are kept alive', async () => {
    handle = () => ({ delayMs: 30 })
    const http = await client()
    const many = Array.from({ length: 12 }, (_, index) => get(http, at('gateway.kyma.local', `/${index}`)))
    expect((await Promise.all(many)).map(({ status }) => status)).toEqual(Array(12).fill(200))
    expect(connections).toBe(3)
    await get(http, at('gateway.kyma.local'))
    expect(connections).toBe(3)
  })

  test('fail each for itself: one that is cut off does not touch the others', async () => {
    handle = ({ url }) =>
      url === '/cut' ? { cut: true, delayMs: 20 } : { delayMs: 100, body: JSON.stringify({ url }) }
    const http = await client()
    const [first, cut, last] = await Promise.allSettled(
      ['/a', '/cut', '/b'].map((path) => get(http, at('gateway.kyma.local', path))),
    )
    expect(first).toMatchObject({ status: 'fulfilled', value: { body: '{"url":"/a"}' } })
    expect(last).toMatchObject({ status: 'fulfilled', value: { body: '{"url":"/b"}' } })
    expect(cut).toMatchObject({ status: 'rejected', reason: { code: 'ERR_NETWORK', reason: 'UND_ERR_SOCKET' } })
  })

  test('time out each by its own limit', async () => {
    handle = ({ url }) => ({ delayMs: url === '/slow' ? 60_000 : 0 })
    const http = await client({ timeoutMs: 5000 })
    const slow = get(http, at('gateway.kyma.local', '/slow')).catch((error: unknown) => error)
    for (let index = 0; index < 5; index++) expect((await get(http, at('gateway.kyma.local'))).status).toBe(200)
    expect(await slow).toMatchObject({ code: 'ERR_TIMEOUT', requestSent: true })
  })
})

test('an answer over 1 MiB is not read further', async () => {
  handle = () => ({ body: Buffer.alloc(1024 * 1024 + 1, 0x20) })
  const http = await client()
  const failure = await get(http, at('gateway.kyma.local')).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(AnswerMalformedError)
  expect(failure).toMatchObject({ reason: 'TOO_LARGE' })
  handle = () => ({ body: Buffer.alloc(1024 * 1024, 0x20) })
  expect((await get(http, at('gateway.kyma.local'))).body).toHaveLength(1024 * 1024)
})

test('an answer is read up to the number of bytes that its request allows, and not further', async () => {
  const http = await client()
  const request = { method: 'GET', url: at('gateway.kyma.local'), maxAnswerBytes: 3 * 1024 * 1024 }
  handle = () => ({ body: Buffer.alloc(3 * 1024 * 1024, 0x20) })
  expect((await http.send(request, 'never')).body).toHaveLength(3 * 1024 * 1024)
  handle = () => ({ body: Buffer.alloc(3 * 1024 * 1024 + 1, 0x20) })
  await expect(http.send(request, 'never')).rejects.toMatchObject({
    reason: 'TOO_LARGE',
    message: expect.stringContaining('larger than 3 MiB') as string,
  })
})

test('an abort ends a request at once, with its reason', async () => {
  handle = () => ({ delayMs: 60_000 })
  const controller = new AbortController()
  const http = await client({}, {}, controller.signal)
  const reason = new NetworkError('the reason')
  setTimeout(() => {
    controller.abort(reason)
  }, 200)
  await expect(get(http, at('gateway.kyma.local'))).rejects.toBe(reason)
})

describe('a server whose CA is not given', () => {
  test('is trusted through the first bundle of the platform that exists', async () => {
    const http = await client({}, { ca: null, systemRootFiles: ['/nowhere/bundle.pem', authority.certificateFile] })
    const newer = Reflect.has(await import('node:tls'), 'getCACertificates')
    const outcome = await get(http, at('gateway.kyma.local')).catch((error: unknown) => error)
    // Where Node offers the system's own store, that one counts.
    if (newer) expect(outcome).toBeInstanceOf(ServerCertificateError)
    else expect(outcome).toMatchObject({ status: 200 })
  })

  test('is trusted through SSL_CERT_FILE', async () => {
    const http = await client({}, { ca: null, rootFiles: [authority.certificateFile] })
    expect((await get(http, at('gateway.kyma.local'))).status).toBe(200)
  })

  test('is refused otherwise, with the name of the issuer, and sees no request', async () => {
    let requests = 0
    handle = () => {
      requests++
      return {}
    }
    const http = await client({}, { ca: null })
    const failure = await get(http, at('gateway.kyma.local')).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ServerCertificateError)
    const issuer = failure instanceof KyconnectError ? String(failure.details?.['issuer']) : ''
    expect(issuer).toContain('CN=')
    expect(failure instanceof Error ? failure.message : '').toContain(issuer)
    expect(failure instanceof KyconnectError ? failure.hints.join(' ') : '').toMatch(
      /--ca-file.*SSL_CERT_FILE or NODE_EXTRA_CA_CERTS.*inspects the connection/s,
    )
    expect(requests).toBe(0)
  })

  test('whose CA alone is to be trusted is not trusted through others', async () => {
    const other = await makeAuthority(folder.path, 'other', 'ec')
    const trust = {
      ca: await readFile(other.certificateFile, 'utf8'),
      caOnly: true,
      rootFiles: [authority.certificateFile],
    }
    await expect(get(await client({}, trust), at('gateway.kyma.local'))).rejects.toBeInstanceOf(ServerCertificateError)
  })
})

test('the name of a route counts instead of the host', async () => {
  const named = await client({ serverName: 'accepted.example' })
  expect((await get(named, at('unknown.example'))).status).toBe(200)
  const wrong = await client({ serverName: 'unknown.example' })
  await expect(get(wrong, at('gateway.kyma.local'))).rejects.toMatchObject({ reason: 'ERR_TLS_CERT_ALTNAME_INVALID' })
})
