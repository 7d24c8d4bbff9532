import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { NetworkError, ServerCertificateError, TimeoutError, UntrustedUrlError } from '../../src/errors.js'
import { Redactor } from '../../src/redaction.js'
import { FetchClient } from '../../src/transport/fetch-client.js'
import { noProxy } from '../../src/transport/proxy.js'
import type { Route } from '../../src/transport/route.js'
import { makeAuthority, makeServerCertificate, temporaryFolder } from '../support/certificates.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let server: https.Server
let ca = ''
let port = 0
let handle: (request: IncomingMessage, response: ServerResponse) => void
let hosts: (string | undefined)[] = []
let open = 0
const clients: FetchClient[] = []

beforeAll(async () => {
  folder = await temporaryFolder('fetch-client')
  const authority = await makeAuthority(folder.path, 'ca', 'ec')
  ca = await readFile(authority.certificateFile, 'utf8')
  const { cert, key } = await makeServerCertificate(folder.path, authority, ['gateway.kyma.local', 'other.kyma.local'])
  server = https.createServer({ cert, key }, (request, response) => {
    hosts.push(request.headers.host)
    handle(request, response)
  })
  server.on('secureConnection', (socket) => {
    open++
    socket.on('close', () => open--)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  hosts = []
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await folder.remove()
})

function client(more: Partial<Route> = {}, signal = new AbortController().signal): FetchClient {
  const made = new FetchClient(
    {
      nodePort: port,
      gatewayHost: 'gateway.kyma.local',
      clientCertificate: null,
      certificateHosts: [],
      resolve: [{ host: '*.kyma.local', port: null, address: '127.0.0.1' }],
      trust: { ca, caOnly: true, rootFiles: [], systemRootFiles: [], insecure: false },
      proxy: noProxy,
      timeoutMs: 60_000,
      connections: 8,
      ...more,
    },
    {
      redactor: new Redactor(),
      trace: undefined,
      signal,
      now: () => performance.now(),
      sleep: () => Promise.resolve(),
    },
  )
  clients.push(made)
  return made
}

const gateway = new URL('https://gateway.kyma.local/x')

/** An address that nothing listens on. */
const nowhere = { host: '*.kyma.local', port: null, address: '127.0.0.2' }

/** A body that begins and does not end. */
function endless(): ReadableStream {
  return new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode('a'))
    },
  })
}

/** The body of a request. */
async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) if (chunk instanceof Buffer) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

test('it answers with a Response of the Fetch standard, from the NodePort and the address of the route', async () => {
  handle = (request, response) => {
    response.writeHead(201, 'Made', { 'content-type': 'application/json', 'x-asked': request.headers['x-ask'] })
    response.end('{"a":1}')
  }
  const response = await client().fetch(gateway, { method: 'PUT', headers: new Headers({ 'x-ask': 'yes' }), body: 'b' })
  expect([response.status, response.statusText, response.ok, response.url, response.headers.get('x-asked')]).toEqual([
    201,
    'Made',
    true,
    `https://gateway.kyma.local:${port}/x`,
    'yes',
  ])
  expect(await response.clone().text()).toBe('{"a":1}')
  expect(await response.json()).toEqual({ a: 1 })
  expect(hosts).toEqual([`gateway.kyma.local:${port}`])
})

test('it follows redirects on the gateway, with the NodePort where they leave it out', async () => {
  handle = ({ url }, response) => {
    if (url === '/x') response.writeHead(307, { location: '/y' }).end()
    else if (url === '/y') response.writeHead(302, { location: 'https://gateway.kyma.local/z' }).end()
    else response.end('here')
  }
  const response = await client().fetch(gateway)
  expect([await response.text(), response.redirected]).toEqual(['here', true])
  expect(hosts).toEqual(Array(3).fill(`gateway.kyma.local:${port}`))
})

test.each(['https://other.kyma.local/', 'http://gateway.kyma.local/', '//other.kyma.local'])(
  'it does not follow a redirect to %s',
  async (location) => {
    handle = (_, response) => {
      response.writeHead(302, { location }).end()
    }
    await expect(client().fetch(gateway)).rejects.toThrow(UntrustedUrlError)
    expect(hosts).toHaveLength(1)
    expect((await client().fetch(gateway, { redirect: 'manual' })).status).toBe(302)
  },
)

test('it sends streams, forms, blobs and parameters', async () => {
  handle = (request, response) => {
    void bodyOf(request).then((body) => response.end(`${request.headers['content-type'] ?? 'none'} ${body}`))
  }
  const form = new FormData()
  form.append('name', 'orders')
  form.append('file', new Blob(['in a file'], { type: 'text/plain' }), 'a.txt')
  const stream = new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode('in a '))
      controller.enqueue(new TextEncoder().encode('stream'))
      controller.close()
    },
  })
  const post = async (body: NonNullable<RequestInit['body']>): Promise<string> =>
    (await client().fetch(gateway, { method: 'POST', body, duplex: 'half' })).text()
  expect(await post(stream)).toBe('none in a stream')
  expect(await post(new URLSearchParams({ a: 'b' }))).toBe('application/x-www-form-urlencoded;charset=UTF-8 a=b')
  expect(await post(new Blob(['x'], { type: 'text/csv' }))).toBe('text/csv x')
  expect(await post(form)).toMatch(
    /^multipart\/form-data; boundary=[^]*name="name"\r\n\r\norders[^]*filename="a\.txt"[^]*in a file/,
  )
})

test('an aborted signal ends a request with its reason, before, during and after the connection', async () => {
  const reason = new Error('no longer needed')
  await expect(client().fetch(gateway, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)

  handle = () => undefined
  const waiting = new AbortController()
  const unanswered = client().fetch(gateway, { signal: waiting.signal })
  setTimeout(() => {
    waiting.abort(reason)
  }, 100)
  await expect(unanswered).rejects.toBe(reason)

  handle = (_, response) => {
    response.write('a')
  }
  const reading = new AbortController()
  const response = await client().fetch(gateway, { signal: reading.signal })
  const text = response.text()
  reading.abort(reason)
  await expect(text).rejects.toBe(reason)
})

test('its own signal ends all requests, also one that is sending a body', async () => {
  const controller = new AbortController()
  const made = client({}, controller.signal)
  const reason = new Error('closed')
  handle = () => undefined
  const requests = [made.fetch(gateway), made.fetch(gateway, { method: 'POST', body: endless(), duplex: 'half' })]
  const outcomes = Promise.allSettled(requests)
  while (hosts.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
  controller.abort(reason)
  expect(await outcomes).toEqual(requests.map(() => ({ status: 'rejected', reason })))
  await expect(made.fetch(gateway)).rejects.toBe(reason)
})

test('a failure is our error, whether the connection, the answer or the body fails', async () => {
  await expect(client({ resolve: [nowhere] }).fetch(gateway)).rejects.toThrow(NetworkError)
  const trust = { ca: null, caOnly: true, rootFiles: [], systemRootFiles: [], insecure: false }
  await expect(client({ trust }).fetch(gateway)).rejects.toThrow(ServerCertificateError)
  handle = ({ socket }) => socket.destroy()
  await expect(client().fetch(gateway)).rejects.toThrow(NetworkError)
  const body = endless()
  await expect(client().fetch(gateway, { method: 'POST', body, duplex: 'half' })).rejects.toThrow(NetworkError)
  handle = ({ socket }, response) => {
    response.writeHead(200, { 'content-length': '10' }).write('a')
    setTimeout(() => socket.destroy(), 50)
  }
  const response = await client().fetch(gateway)
  await expect(response.text()).rejects.toMatchObject({ name: 'TypeError', cause: { code: 'ERR_NETWORK' } })
})

test('an answer that does not begin, or does not go on, times out; a slow reader does not', async () => {
  handle = () => undefined
  const impatient = client({ timeoutMs: 1200 })
  await expect(impatient.fetch(gateway)).rejects.toThrow(TimeoutError)
  handle = (_, response) => {
    response.write('a')
  }
  const stalled = await impatient.fetch(gateway)
  await expect(stalled.text()).rejects.toMatchObject({ cause: { code: 'ERR_TIMEOUT' } })
  const size = 16 * 1024 * 1024
  handle = (_, response) => {
    response.end(Buffer.alloc(size))
  }
  const large = await impatient.fetch(gateway)
  await new Promise((resolve) => setTimeout(resolve, 4000))
  expect((await large.arrayBuffer()).byteLength).toBe(size)
}, 30_000)

test('more requests than connections wait for their turn', async () => {
  handle = (_, response) => {
    setTimeout(() => response.end('x'), 20)
  }
  const made = client({ connections: 2 })
  const answers = await Promise.all(Array.from({ length: 40 }, async () => (await made.fetch(gateway)).text()))
  expect(answers).toEqual(Array(40).fill('x'))
  expect(open).toBeLessThanOrEqual(2)
})

test('a client that retires lets its requests end, and then closes its connections', async () => {
  let finish = (): void => undefined
  handle = (_, response) => {
    response.write('a')
    finish = () => response.end('b')
  }
  const made = client()
  const response = await made.fetch(gateway)
  const retired = made.retire()
  let isClosed = false
  void retired.then(() => (isClosed = true))
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect([isClosed, open]).toEqual([false, 1])
  finish()
  expect(await response.text()).toBe('ab')
  await retired
  while (open > 0) await new Promise((resolve) => setTimeout(resolve, 10))
})
