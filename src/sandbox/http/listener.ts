import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type Server as HttpServer,
  ServerResponse,
} from 'node:http'
import { createSecureServer, type Http2SecureServer, type Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { errorAnswer, type Answer, type Backend, type Outlet } from './exchange.js'
import type { Port } from './port.js'
import { waitForSlot, type AnswerSlot } from './unread-bytes.js'

/** The part of a request that is known before its body is read. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** As sent, in lower case and without a port; '' when missing. */
  readonly host: string
  readonly headers: IncomingHttpHeaders
}

/** Decides who answers a request, and how large its body may be. */
export interface Route {
  readonly maxBodyBytes: number
  readonly tooLarge: Answer
  readonly backend: Backend
  /** Headers that are set or overwritten on the way. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Decides from the head: answers at once, or names a route. The socket is a TLSSocket on a listener with TLS. */
export type Front = (head: RequestHead, socket: Socket | TLSSocket) => Answer | Route | Promise<Answer | Route>

/** Reports a request after its answer; status 0 when the client left first. */
export type ReportExchange = (exchange: {
  readonly method: string
  readonly target: string
  readonly status: number
  readonly durationMs: number
  /** SHA-256 of the client's certificate, lower-case hex; undefined without one. */
  readonly client?: string | undefined
}) => void

/** What a client may leave undone before its connection is dropped. */
export interface ListenerLimits {
  /** Time for a whole body to arrive, also for one that was refused: Node reads and discards the rest of it. */
  readonly bodyTimeoutMs: number
  /** Time to read a whole answer. A streamed answer has this time for its first part only. */
  readonly answerTimeoutMs: number
  /** Bytes that a connection may leave unread: more requests then wait, and a streamed answer is cut. */
  readonly maxUnreadBytes: number
}

export const DEFAULT_LIMITS: ListenerLimits = {
  bodyTimeoutMs: 60_000,
  answerTimeoutMs: 120_000,
  maxUnreadBytes: 4 * 1024 * 1024,
}

export interface ListenerOptions {
  readonly front: Front
  /** Absent: nothing is reported. */
  readonly report?: ReportExchange
  /** Headers on every answer. */
  readonly headers?: Readonly<Record<string, string>>
  readonly limits?: Partial<ListenerLimits>
}

export interface TlsOptions {
  readonly certificate: string
  readonly key: string
  /** Asks the client for a certificate without verifying it: the front decides about a missing or an invalid one. */
  readonly asksForCertificate?: boolean
}

/** Time that a connection may be idle, from its first byte on. */
const IDLE_TIMEOUT_MS = 120_000

/** Serves plain HTTP on a port. */
export function servePlain(port: Port, options: ListenerOptions): void {
  const server = plainServer(port, options)
  port.server.on('connection', (socket: Socket) => server.emit('connection', socket))
}

/**
 * Serves TLS (1.2 or later; HTTP/1.1 and HTTP/2) on a port. `plain` answers clients that speak HTTP without TLS; without it their
 * connection ends.
 */
export function serveTls(port: Port, options: ListenerOptions, tls: TlsOptions, plain?: Front): void {
  const secure = secureServer(port, options, tls)
  const insecure = plain && plainServer(port, { ...options, front: plain })
  port.server.on('connection', (socket: Socket) => {
    if (insecure === undefined) secure.emit('connection', socket)
    else whenFirstByteIs(socket, (byte) => (byte === TLS_HANDSHAKE ? secure : insecure).emit('connection', socket))
  })
}

const TLS_HANDSHAKE = 0x16

function whenFirstByteIs(socket: Socket, then: (byte: number) => void): void {
  const giveUp = (): unknown => socket.destroy()
  socket.setTimeout(IDLE_TIMEOUT_MS, giveUp)
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

function plainServer(port: Port, options: ListenerOptions): HttpServer {
  const listener = listenerOn(port, options)
  const server = createHttpServer((request, response) => {
    answer(request, response, request.socket, listener)
  })
  server.timeout = IDLE_TIMEOUT_MS
  return server
}

function secureServer(port: Port, options: ListenerOptions, tls: TlsOptions): Http2SecureServer {
  const listener = listenerOn(port, options)
  const server = createSecureServer(
    {
      allowHTTP1: true,
      minVersion: 'TLSv1.2',
      cert: tls.certificate,
      key: tls.key,
      settings: { maxConcurrentStreams: 100 },
      // Given a CA, OpenSSL ends the connection of a client whose certificate names this CA but was signed by another key (by that
      // of an earlier sandbox, say), and the client would not see the page that NGINX answers.
      ...(tls.asksForCertificate === true && { requestCert: true, rejectUnauthorized: false, ca: [] }),
    },
    (request, response) => {
      answer(request, response, request.socket, listener)
    },
  )
  server.setTimeout(IDLE_TIMEOUT_MS)
  // A failed handshake or a broken session concerns the client alone.
  server.on('tlsClientError', () => undefined)
  server.on('sessionError', () => undefined)
  return server
}

/** The common part of HTTP/1.1 and HTTP/2 requests. */
interface Incoming extends Readable {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}
type Outgoing = ServerResponse | Http2ServerResponse

/** What all requests to a port have in common. */
interface Listener extends ListenerOptions {
  readonly port: Port
  readonly limits: ListenerLimits
}

function listenerOn(port: Port, options: ListenerOptions): Listener {
  return { ...options, port, limits: { ...DEFAULT_LIMITS, ...options.limits } }
}

function answer(incoming: Incoming, outgoing: Outgoing, socket: Socket, listener: Listener): void {
  const connection = listener.port.connectionFrom(socket)
  if (connection === undefined) return
  const drop = (): void => {
    connection.destroy()
  }
  const { limits } = listener
  answerIn({ incoming, outgoing, socket, connection, drop, limits }, listener).catch(drop)
}

/** A request and its answer. */
interface Exchange {
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  /** The socket as the request shows it: with TLS a TLSSocket. */
  readonly socket: Socket
  /** The TCP connection, the same for all requests that it carries. */
  readonly connection: Socket
  readonly drop: () => void
  readonly limits: ListenerLimits
}

async function answerIn(exchange: Exchange, { front, headers, report }: Listener): Promise<void> {
  const { incoming, outgoing, socket, connection, drop, limits } = exchange
  const target = incoming.url ?? ''
  const head = headOf(incoming, target)
  const progress = { status: 0, isClosed: false }
  outgoing.on('close', () => {
    progress.isClosed = true
  })
  if (report !== undefined) {
    const startMs = performance.now()
    const client = fingerprintOf(socket)
    outgoing.on('close', () => {
      const { status } = progress
      report({ method: head.method, target, status, durationMs: Math.round(performance.now() - startMs), client })
    })
  }
  incoming.on('error', () => undefined)
  runUnless(incoming, ['end', 'close'], limits.bodyTimeoutMs, drop)
  // A client that asks for more and more without reading the answers would fill the memory. It waits here until it is dropped.
  const slot = await waitForSlot(connection, limits.maxUnreadBytes)
  const result = progress.isClosed || incoming.destroyed ? 'gone' : await resultOf(incoming, head, socket, front)
  if (result === 'gone') {
    slot.release()
    drop()
    return
  }
  const { status } = result
  progress.status = status
  const length = status === 204 || result.stream ? {} : { 'content-length': String(Buffer.byteLength(result.body)) }
  outgoing.statusCode = status
  for (const [name, value] of Object.entries({ ...result.headers, ...headers, ...length })) {
    outgoing.setHeader(name, value)
  }
  if (result.stream !== undefined && head.method !== 'HEAD') {
    slot.release()
    stream(exchange, result.body, result.stream)
  } else send(exchange, head.method === 'HEAD' ? '' : result.body, slot)
}

function fingerprintOf(socket: Socket): string | undefined {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  return certificate?.fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Sends a whole answer. */
function send({ outgoing, drop, limits }: Exchange, body: string, slot: AnswerSlot): void {
  runUnless(outgoing, ['finish', 'close'], limits.answerTimeoutMs, drop)
  const countAsRead = slot.sent(Buffer.byteLength(body))
  outgoing.on('finish', countAsRead)
  outgoing.on('close', countAsRead)
  outgoing.end(body)
}

/** Sends an answer in parts: `body` first, then what `start` sends. */
function stream({ outgoing, socket, drop, limits }: Exchange, body: string, start: (outlet: Outlet) => void): void {
  const writable: Writable = outgoing
  let isOpen = true
  let unreadBytes = 0
  const end = (): void => {
    if (isOpen) writable.end()
    isOpen = false
  }
  const write = (text: string): void => {
    if (!isOpen) return
    if (unreadBytes > limits.maxUnreadBytes) {
      isOpen = false
      drop()
      return
    }
    const bytes = Buffer.byteLength(text)
    unreadBytes += bytes
    writable.write(text, () => (unreadBytes -= bytes))
  }
  writable.on('close', () => {
    isOpen = false
  })
  // Node reports an error when something is sent to a client that has just left.
  writable.on('error', () => undefined)
  // A stream may be silent for long: its connection is not idle then, and its head must not wait for the first part.
  socket.setTimeout(0)
  if (outgoing instanceof ServerResponse) outgoing.flushHeaders()
  else outgoing.writeHead(outgoing.statusCode)
  // The first part may have any size, like an answer that is sent whole, and the client has as long to read it.
  if (body !== '') {
    const timer = setTimeout(drop, limits.answerTimeoutMs)
    const stop = (): void => {
      clearTimeout(timer)
    }
    writable.on('close', stop)
    writable.write(body, stop)
  }
  start({ send: write, end, cut: drop, onClose: (act) => void writable.on('close', act) })
}

/** Shared by all requests without a query: they only read it. */
const NO_QUERY = new URLSearchParams()

function headOf(incoming: Incoming, target: string): RequestHead {
  const mark = target.indexOf('?')
  const authority = incoming.headers[':authority'] ?? incoming.headers.host
  return {
    method: incoming.method ?? '',
    path: mark === -1 ? target : target.slice(0, mark),
    query: mark === -1 ? NO_QUERY : new URLSearchParams(target.slice(mark)),
    host: (typeof authority === 'string' ? authority : '').replace(/:\d{0,5}$/, '').toLowerCase(),
    headers: incoming.headers,
  }
}

/** The answer to a request; 'gone' when its body did not arrive. */
async function resultOf(incoming: Incoming, head: RequestHead, socket: Socket, front: Front): Promise<Answer | 'gone'> {
  try {
    const route = await front(head, socket)
    if ('status' in route) return route
    const body = await readBody(incoming, route.maxBodyBytes)
    if (body === 'gone') return body
    if (body === 'too large') return route.tooLarge
    return await route.backend({ ...head, headers: { ...head.headers, ...route.headers }, body })
  } catch {
    return errorAnswer(500, 'Internal error.')
  }
}

function readBody(incoming: Incoming, maxBytes: number): Promise<Buffer | 'too large' | 'gone'> {
  return new Promise((resolve) => {
    if (incoming.destroyed) resolve('gone')
    const chunks: Buffer[] = []
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) chunks.push(chunk)
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

/** Acts when none of these events has come in time. */
function runUnless(
  source: { on(event: string, listener: () => void): unknown },
  events: readonly string[],
  timeoutMs: number,
  act: () => void,
): void {
  const timer = setTimeout(act, timeoutMs)
  for (const event of events) {
    source.on(event, () => {
      clearTimeout(timer)
    })
  }
}
