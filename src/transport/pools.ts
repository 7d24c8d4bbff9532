import type { Dispatcher, Pool } from 'undici'
import { Connection } from './connection.js'
import type { Exchange } from './exchange.js'
import type { Route } from './route.js'

/** undici's pools of a route, one for each origin; connections are kept alive between requests. */
export class Pools {
  readonly #route: Route
  readonly #trace: ((line: string) => void) | undefined
  readonly #byOrigin = new Map<string, Promise<Pool>>()
  /** The exchange of each dispatched request, by its options: nothing else reaches the connection unchanged. */
  readonly #exchanges = new WeakMap<object, Exchange>()

  constructor(route: Route, trace: ((line: string) => void) | undefined) {
    this.#route = route
    this.#trace = trace
  }

  /** The pool for an exchange's origin. The first exchange opens it, and its handshake runs while undici loads. */
  of(exchange: Exchange): Promise<Pool> {
    const { origin } = exchange.target.url
    let pool = this.#byOrigin.get(origin)
    if (pool === undefined) {
      pool = this.#open(origin, exchange)
      this.#byOrigin.set(origin, pool)
    }
    return pool
  }

  /** Makes the connection that will carry these options belong to the exchange. Call it right before they are dispatched. */
  assign(options: Dispatcher.DispatchOptions, exchange: Exchange): void {
    this.#exchanges.set(options, exchange)
  }

  /** Ends all connections at once. */
  async close(): Promise<void> {
    const pools = [...this.#byOrigin.values()]
    this.#byOrigin.clear()
    await Promise.all(
      pools.map((opening) =>
        opening.then(
          (pool) => pool.destroy(),
          () => undefined,
        ),
      ),
    )
  }

  async #open(origin: string, exchange: Exchange): Promise<Pool> {
    // The handshake runs while undici loads, which takes as long.
    let first: Connection | undefined = new Connection(exchange, this.#route, this.#trace)
    first.begin()
    const { Client, Pool } = await import('undici')
    return new Pool(origin, {
      connections: this.#route.connections,
      pipelining: 1,
      factory: (url, clientOptions: object) => {
        const connection = first ?? new Connection(exchange, this.#route, this.#trace)
        first = undefined
        const client = new Client(url, { ...clientOptions, connect: connection.connector })
        const dispatch = client.dispatch.bind(client)
        client.dispatch = (options, handler) => {
          const carried = this.#exchanges.get(options)
          if (carried !== undefined) connection.carry(carried)
          return dispatch(options, handler)
        }
        return client
      },
    })
  }
}
