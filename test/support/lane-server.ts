import type { AddressInfo, Socket } from 'node:net'
import * as tls from 'node:tls'
import type { ServerCertificate } from './certificates.js'

/** A POST as it arrived. */
export interface ReceivedPost {
  readonly head: string
  readonly body: string
  /** Its place among the POSTs of its connection, from 0. */
  readonly index: number
}

/** A connection, as the script of a test sees it. */
export interface ServedConnection {
  readonly socket: tls.TLSSocket
  /** Ends the connection with a TCP reset. */
  readonly reset: () => void
}

export interface LaneServer {
  readonly port: number
  /** The bodies of all POSTs that were read, in order. */
  readonly received: string[]
  /** How many TCP connections were made, whether or not TLS followed. */
  readonly connections: () => number
  stop(): Promise<void>
}

/** What a server does with the POSTs that one read brought: those that pipelining sent together arrive together. */
export type Script = (posts: readonly ReceivedPost[], connection: ServedConnection) => void

/** The answer to a POST, which repeats its body: so an answer that is given to the wrong request shows. */
export function echo({ body }: ReceivedPost, ...headers: readonly string[]): string {
  return [
    'HTTP/1.1 200 OK',
    'content-type: application/json',
    ...headers,
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}

/** Starts a TLS server on a free loopback port, which reads POSTs itself: an HTTP server would not let a test break an answer at any byte. */
export async function startLaneServer(
  { cert, key }: ServerCertificate,
  script: Script,
  {
    onConnection,
    ...options
  }: tls.TlsOptions & { readonly onConnection?: (connection: ServedConnection) => void } = {},
): Promise<LaneServer> {
  const received: string[] = []
  const sockets = new Set<tls.TLSSocket>()
  /** The TCP connections that carry the TLS ones, by the port of the other side. */
  const carriers = new Map<number | undefined, Socket>()
  let connections = 0
  const server = tls.createServer({ cert, key, noDelay: true, ...options }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    const reset = (): void => {
      carriers.get(socket.remotePort)?.resetAndDestroy()
    }
    const connection = { socket, reset }
    onConnection?.(connection)
    let rest = Buffer.alloc(0)
    let index = 0
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      const posts: ReceivedPost[] = []
      for (;;) {
        const end = rest.indexOf('\r\n\r\n')
        if (end < 0) break
        const head = rest.toString('latin1', 0, end)
        const length = Number(/content-length: (\d+)$/.exec(head)?.[1])
        if (rest.length < end + 4 + length) break
        posts.push({ head, body: rest.toString('utf8', end + 4, end + 4 + length), index: index++ })
        rest = rest.subarray(end + 4 + length)
      }
      received.push(...posts.map(({ body }) => body))
      if (posts.length > 0) script(posts, connection)
    })
  })
  server.on('connection', (carrier: Socket) => {
    const { remotePort } = carrier
    connections++
    carriers.set(remotePort, carrier)
    carrier.on('close', () => carriers.delete(remotePort))
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    received,
    connections: () => connections,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
