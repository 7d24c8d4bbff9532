import type { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { asError } from '../errors.js'
import type { Exchange } from './exchange.js'
import type { Route } from './route.js'
import { connectTls } from './tls.js'

/**
 * One connection of a pool, which is opened again after it broke. It carries one exchange at a time, so what happens to its socket belongs to the
 * exchange that it was given last.
 */
export class Connection {
  #exchange: Exchange
  readonly #route: Route
  readonly #trace: ((line: string) => void) | undefined
  /** A socket whose handshake began before undici was loaded. */
  #begun: Promise<TLSSocket> | undefined
  #open = false

  constructor(exchange: Exchange, route: Route, trace: ((line: string) => void) | undefined) {
    this.#exchange = exchange
    this.#route = route
    this.#trace = trace
  }

  /** Starts the handshake before there is a client to use it. */
  begin(): void {
    this.#begun = this.#connect()
    // Its failure is reported when the client asks for it.
    this.#begun.catch(() => undefined)
  }

  /** Makes this the exchange that the connection carries. */
  carry(exchange: Exchange): void {
    this.#exchange = exchange
    if (this.#open) exchange.phase = 'waiting for the answer'
  }

  /** What undici calls when it needs a socket. */
  readonly connector: buildConnector.connector = (_, callback) => {
    const connecting = this.#begun ?? this.#connect()
    this.#begun = undefined
    connecting.then(
      (socket) => {
        callback(null, socket)
      },
      (error: unknown) => {
        callback(asError(error), null)
      },
    )
  }

  async #connect(): Promise<TLSSocket> {
    const exchange = this.#exchange
    exchange.phase = 'connecting'
    const { proxy, address, port } = exchange.target
    const socket = await connectTls(this.#route, exchange.target, exchange.signal)
    this.#exchange.phase = 'waiting for the answer'
    this.#open = true
    socket.on('error', (error) => {
      this.#exchange.socketError ??= error
    })
    socket.once('close', () => {
      this.#open = false
    })
    const through = proxy === null ? '' : ` through the proxy ${proxy.host}`
    this.#trace?.(`* connected to ${address}:${port}${through}, ${socket.getProtocol() ?? 'TLS'}`)
    return socket
  }
}
