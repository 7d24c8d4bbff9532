import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A port on the loopback address. Closing it ends its connections. */
export interface Port {
  readonly number: number
  readonly server: Server
  /**
   * The connection from a peer; undefined when it has ended. Each request of an HTTP/2 session shows another socket than this one, and
   * destroying that one ends the request alone.
   */
  connectionFrom(peer: Peer): Socket | undefined
  close(): Promise<void>
}

/** The other end of a connection. */
export interface Peer {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
}

const keyOf = ({ remoteAddress, remotePort }: Peer): string => `${remoteAddress ?? ''}:${remotePort ?? 0}`

/** Listens on 127.0.0.1 only. 0 is any free port. Rejects with the system's error. */
export function openPort(number: number): Promise<Port> {
  const sockets = new Map<string, Socket>()
  // As every HTTP server: an answer in two parts would otherwise wait 40 ms for the first one to be acknowledged.
  const server = createServer({ noDelay: true }, (socket) => {
    const key = keyOf(socket)
    sockets.set(key, socket)
    socket.on('close', () => {
      // The peer's port may be in use again already.
      if (sockets.get(key) === socket) sockets.delete(key)
    })
    // A client may reset its connection at any time.
    socket.on('error', () => undefined)
  })
  const connectionFrom = (peer: Peer): Socket | undefined => sockets.get(keyOf(peer))
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => {
        resolve()
      })
      for (const socket of sockets.values()) socket.destroy()
    })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: number }, () => {
      server.off('error', reject)
      resolve({ number: portOf(server.address()), server, connectionFrom, close })
    })
  })
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}
