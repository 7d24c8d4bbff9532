import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type Server as HttpServer,
  ServerResponse,
} from 'node:http'
import { createSecureServer, type Http2SecureServer, type Http2ServerResponse } from 'node:http2'
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { errorAnswer, type Answer, type Backend, type Outlet } from './exchange.js'

/** What is known of a request before its body is read. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** As sent, in lower case and without a port; '' when missing. */
  readonly host: string
  readonly headers: IncomingHttpHeaders
}

/** Where a request goes: how much of a body may come, in bytes, and who answers. */
export interface Route {
  readonly bodyLimit: number
  readonly tooLarge: Answer
  readonly backend: Backend
  /** Headers that are set or overwritten on the way. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Decides by the head: an answer at once, or a route. The socket is a TLSSocket on a listener with TLS. */
export type Front = (head: RequestHead, socket: Socket | TLSSocket) => Answer | Route | Promise<Answer | Route>

/** Tells of a request once it is answered; status 0 where the client left before. */
export type Tell = (exchange: { method: string; target: string; status: number; milliseconds: number }) => void

export interface ListenerOptions {
  readonly front: Front
  readonly tell: Tell
  /** Headers on every answer. */
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds that a body may take, one that was refused included; then the connection ends. A minute by default. */
  readonly bodyTime?: number
}

export interface TlsOptions {
  readonly certificate: string
  readonly key: string
  /** Asks the client for a certificate. It is not verified here: the front looks at what came, and whether anything came. */
  readonly asksForCertificate?: boolean
}

const BODY_TIME = 60_000
/** Milliseconds a connection may be idle, from its first byte on. */
const IDLE_TIME = 120_000

/** A port on the loopback address; connections to it end with it. */
export interface Port {
  readonly number: number
  readonly server: TcpServer
  close(): Promise<void>
}

/** Listens on 127.0.0.1 only. 0 is any free port. Rejects with the system's error. */
export function openPort(number: number): Promise<Port> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A client that resets its connection is no news.
    socket.on('error', () => undefined)
  })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => {
        resolve()
      })
      for (const socket of sockets) socket.destroy()
    })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: number }, () => {
      server.off('error', reject)
      resolve({ number: portOf(server.address()), server, close })
    })
  })
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Speaks plain HTTP on a port. */
export function servePlain(port: Port, options: ListenerOptions): void {
  const server = plainServer(options)
  port.server.on('connection', (socket: Socket) => server.emit('connection', socket))
}

/** Speaks TLS (1.2 or later; HTTP/1.1 and HTTP/2) on a port. `plain` answers what is spoken to it without TLS; else that ends the connection. */
export function serveTls(port: Port, options: ListenerOptions, tls: TlsOptions, plain?: Front): void {
  const secure = secureServer(options, tls)
  const insecure = plain && plainServer({ ...options, front: plain })
  port.server.on('connection', (socket: Socket) => {
    if (insecure === undefined) secure.emit('connection', socket)
    else whenFirstByteIs(socket, (byte) => (byte === TLS_HANDSHAKE ? secure : insecure).emit('connection', socket))
  })
}

const TLS_HANDSHAKE = 0x16

function whenFirstByteIs(socket: Socket, then: (byte: number) => void): void {
  const giveUp = (): unknown => socket.destroy()
  socket.setTimeout(IDLE_TIME, giveUp)
  socket.once('readable', () => {
    const chunk: unknown = socket.read()
    if (!Buffer.isBuffer(chunk)) {
      giveUp()
      return
    }
    socket.setTimeout(0, giveUp)
    socket.unshift(chunk)
    then(chunk[0] ?? 0)
  })
}

function plainServer(options: ListenerOptions): HttpServer {
  const server = createHttpServer((request, response) => {
    answer(request, response, request.socket, options).catch(() => request.socket.destroy())
  })
  server.timeout = IDLE_TIME
  return server
}

function secureServer(options: ListenerOptions, tls: TlsOptions): Http2SecureServer {
  const server = createSecureServer(
    {
      allowHTTP1: true,
      minVersion: 'TLSv1.2',
      cert: tls.certificate,
      key: tls.key,
      // With a CA to verify against, a certificate that names this CA but was signed by another key (one of an earlier sandbox, say)
      // leaves an error in OpenSSL's queue, and the connection ends without the page that NGINX answers.
      ...(tls.asksForCertificate === true && { requestCert: true, rejectUnauthorized: false, ca: [] }),
    },
    (request, response) => {
      answer(request, response, request.socket, options).catch(() => request.socket.destroy())
    },
  )
  server.setTimeout(IDLE_TIME)
  // What a client does wrong in a handshake is its own affair.
  server.on('tlsClientError', () => undefined)
  server.on('sessionError', () => undefined)
  return server
}

/** What HTTP/1.1 and HTTP/2 requests and responses have in common. */
interface Incoming extends Readable {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}
type Outgoing = ServerResponse | Http2ServerResponse

async function answer(incoming: Incoming, outgoing: Outgoing, socket: Socket, options: ListenerOptions): Promise<void> {
  const start = performance.now()
  const target = incoming.url ?? ''
  const head = headOf(incoming, target)
  let status = 0
  outgoing.on('close', () => {
    options.tell({ method: head.method, target, status, milliseconds: Math.round(performance.now() - start) })
  })
  incoming.on('error', () => undefined)
  limitTime(incoming, socket, options.bodyTime ?? BODY_TIME)
  const result = await resultOf(incoming, head, socket, options.front)
  if (result === 'gone') return void socket.destroy()
  status = result.status
  const length = status === 204 || result.stream ? {} : { 'content-length': String(Buffer.byteLength(result.body)) }
  outgoing.statusCode = status
  for (const [name, value] of Object.entries({ ...result.headers, ...options.headers, ...length })) {
    outgoing.setHeader(name, value)
  }
  if (result.stream === undefined || head.method === 'HEAD') outgoing.end(head.method === 'HEAD' ? '' : result.body)
  else stream(outgoing, socket, result.body, result.stream)
}

function stream(outgoing: Outgoing, socket: Socket, body: string, start: (outlet: Outlet) => void): void {
  const writable: Writable = outgoing
  let open = true
  const end = (): void => {
    if (open) writable.end()
    open = false
  }
  const send = (text: string): void => {
    if (open) writable.write(text)
  }
  writable.on('close', () => {
    open = false
  })
  // Something was sent to a client that had just left.
  writable.on('error', () => undefined)
  // There may be nothing to say for long: neither is the connection idle, nor may the head wait for the first words.
  socket.setTimeout(0)
  if (outgoing instanceof ServerResponse) outgoing.flushHeaders()
  else outgoing.writeHead(outgoing.statusCode)
  if (body !== '') send(body)
  start({ send, end, cut: () => void socket.destroy(), onClose: (act) => void writable.on('close', act) })
}

function headOf(incoming: Incoming, target: string): RequestHead {
  const mark = target.indexOf('?')
  const authority = incoming.headers[':authority'] ?? incoming.headers.host
  return {
    method: incoming.method ?? '',
    path: mark === -1 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark === -1 ? '' : target.slice(mark)),
    host: (typeof authority === 'string' ? authority : '').replace(/:\d*$/, '').toLowerCase(),
    headers: incoming.headers,
  }
}

/** The answer to a request; 'gone' when its body did not come. */
async function resultOf(incoming: Incoming, head: RequestHead, socket: Socket, front: Front): Promise<Answer | 'gone'> {
  try {
    const route = await front(head, socket)
    if ('status' in route) return route
    const body = await readBody(incoming, route.bodyLimit)
    if (body === 'gone') return body
    if (body === 'too large') return route.tooLarge
    return await route.backend({ ...head, headers: { ...head.headers, ...route.headers }, body })
  } catch {
    return errorAnswer(500, 'Internal error.')
  }
}

function readBody(incoming: Incoming, limit: number): Promise<Buffer | 'too large' | 'gone'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else resolve('too large')
    })
    incoming.on('end', () => {
      resolve(Buffer.concat(chunks))
    })
    incoming.on('close', () => {
      resolve('gone')
    })
  })
}

/** Ends the connection when a body does not end in time. What comes of a refused one is read and forgotten by Node. */
function limitTime(incoming: Incoming, socket: Socket, milliseconds: number): void {
  const timer = setTimeout(() => socket.destroy(), milliseconds)
  for (const event of ['end', 'close']) {
    incoming.on(event, () => {
      clearTimeout(timer)
    })
  }
}
