import { connect as connectHttp2 } from 'node:http2'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Outlet } from '../../src/sandbox/http/exchange.js'
import { servePlain, serveTls, type ListenerOptions, type Route } from '../../src/sandbox/http/listener.js'
import { openPort, type Port } from '../../src/sandbox/http/port.js'
import { createServerAuthority } from '../../src/sandbox/pki/authority.js'
import { issueServerCertificate } from '../../src/sandbox/pki/issue.js'

const ports: Port[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(ports.splice(0).map((port) => port.close()))
})

const small: Route = {
  maxBodyBytes: 4,
  tooLarge: { status: 413, headers: {}, body: 'too large' },
  backend: ({ body }) => ({ status: 200, headers: {}, body: body.toString() }),
}

async function serve(options: Omit<ListenerOptions, 'report'>): Promise<number> {
  const port = await openPort(0)
  ports.push(port)
  servePlain(port, { report: () => undefined, ...options })
  return port.number
}

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  sockets.push(socket)
  return socket
}

/** A reset is as good an end as any. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('close', () => {
      resolve()
    })
  })

/** Sends a request's head and then a byte every 20 ms; gives the first line that came back and the time until the connection ended. */
async function drip(front: () => Route | Route['tooLarge']): Promise<{ answer: string; durationMs: number }> {
  const socket = open(await serve({ front, limits: { bodyTimeoutMs: 200 } }))
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  const startMs = performance.now()
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n')
  const timer = setInterval(() => socket.write('x'), 20)
  await closed(socket)
  clearInterval(timer)
  return { answer: answer.split('\r\n', 1)[0] ?? '', durationMs: performance.now() - startMs }
}

test.each([
  ['that is read', () => ({ ...small, maxBodyBytes: 1_000_000 }), ''],
  ['that grew too large', () => small, 'HTTP/1.1 413 Payload Too Large'],
  ['that was refused by its head', () => small.tooLarge, 'HTTP/1.1 413 Payload Too Large'],
])('a body %s has limited time', async (_what, front, expected) => {
  const { answer, durationMs } = await drip(front)
  expect(answer).toBe(expected)
  expect(durationMs).toBeGreaterThan(150)
})

const MIB = 1024 * 1024
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

/** The bytes that a socket which never read so far still finds, until its connection ends. */
async function readRest(socket: Socket): Promise<number> {
  let bytes = 0
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  socket.resume()
  await closed(socket)
  return bytes
}

test('a client that does not read its answer is dropped', async () => {
  const large = { status: 200, headers: {}, body: 'x'.repeat(40 * MIB) }
  const reported = new Promise((resolve) => {
    void serve({ front: () => large, report: resolve, limits: { answerTimeoutMs: 300 } } as ListenerOptions).then(
      (port) => {
        open(port).pause().write(get)
      },
    )
  })
  expect(await reported).toMatchObject({ method: 'GET', status: 200 })
  expect(await readRest(sockets[0] as Socket)).toBeLessThan(40 * MIB)
})

test('a client that asks on without reading is not served until it reads', async () => {
  let served = 0
  const front = (): Route['tooLarge'] => {
    served++
    return { status: 200, headers: {}, body: 'x'.repeat(MIB) }
  }
  const port = await serve({ front, limits: { maxUnreadBytes: 2 * MIB } })
  const socket = open(port).pause()
  socket.write(get.repeat(200))
  await new Promise((resolve) => setTimeout(resolve, 500))
  // What the system's own buffers hold counts as read.
  expect(served).toBeLessThan(50)
  let bytes = 0
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  socket.resume()
  while (bytes < 200 * MIB) await once(socket, 'data')
  expect(served).toBe(200)
})

test('a client of HTTP/2 that opens no window is dropped, and few of its requests are served', async () => {
  const port = await openPort(0)
  ports.push(port)
  const authority = await createServerAuthority(new Date())
  const tls = await issueServerCertificate(authority, new Date(), ['localhost'])
  let served = 0
  const front = (): Route['tooLarge'] => {
    served++
    return { status: 200, headers: {}, body: 'x'.repeat(10_000) }
  }
  const limits = { answerTimeoutMs: 500, maxUnreadBytes: 20_000 }
  serveTls(port, { front, report: () => undefined, limits }, tls)
  const session = connectHttp2(`https://localhost:${port.number}`, {
    ca: authority.certificate.toString(),
    settings: { initialWindowSize: 0 },
  })
  session.on('error', () => undefined)
  const ended = once(session, 'close')
  for (let count = 0; count < 90; count++) session.request({ ':path': '/' }).on('error', () => undefined)
  await ended
  // Node's own limit for a session is 10 MB: it would serve all of these.
  expect(served).toBeLessThan(20)
})

test('a client that does not read a stream is dropped at the bound', async () => {
  let outlet: Outlet | undefined
  const started = new Promise<void>((resolve) => {
    const stream = (opened: Outlet): void => {
      outlet = opened
      resolve()
    }
    const front = (): Route['tooLarge'] => ({ status: 200, headers: {}, body: '', stream })
    void serve({ front, limits: { maxUnreadBytes: 2 * MIB } }).then((port) => {
      open(port).pause().write(get)
    })
  })
  await started
  const connection = { isOpen: true }
  outlet?.onClose(() => {
    connection.isOpen = false
  })
  let sent = 0
  // The turn between the parts lets the system take what it has room for.
  for (; connection.isOpen && sent < 200; sent++) {
    outlet?.send('x'.repeat(MIB))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(connection.isOpen).toBe(false)
  expect(sent).toBeLessThan(50)
  expect(await readRest(sockets[0] as Socket)).toBeLessThan(sent * MIB)
})

test('a stream that is read goes on, however much it sends', async () => {
  let outlet: Outlet | undefined
  const started = new Promise<void>((resolve) => {
    const stream = (opened: Outlet): void => {
      outlet = opened
      resolve()
    }
    const front = (): Route['tooLarge'] => ({ status: 200, headers: {}, body: 'x'.repeat(5 * MIB), stream })
    void serve({ front, limits: { maxUnreadBytes: 2 * MIB } }).then((port) => {
      open(port).write(get)
    })
  })
  await started
  const socket = sockets[0] as Socket
  let bytes = 0
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  for (let sent = 1; sent <= 20; sent++) {
    outlet?.send('x'.repeat(MIB))
    while (bytes < (5 + sent) * MIB) await once(socket, 'data')
  }
  outlet?.end()
  expect(bytes).toBeGreaterThanOrEqual(25 * MIB)
})
