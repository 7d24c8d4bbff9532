import { setMaxListeners } from 'node:events'
import type { Dispatcher } from 'undici'
import { asError } from '../errors.js'
import type { TransportDeps } from './client.js'
import { Exchange } from './exchange.js'
import { FetchExchange } from './fetch-exchange.js'
import type { FetchInit, FetchResponse } from './fetch-message.js'
import { Pools } from './pools.js'
import { redirectRefused } from './redirect-refused.js'
import { resolveTarget, type Route } from './route.js'
import type { Dispatch, FetchHandler } from './undici-fetch.js'

/** One call of fetch, with the requests that its redirects need. */
interface Call {
  /** That all of its requests must have. */
  readonly origin: string
  readonly signals: readonly AbortSignal[]
  /** Why a request failed: fetch reports only that it was cancelled when that happens while it sends a body. */
  failure: Error | undefined
}

/** undici's fetch on a route. Requests may run at the same time. */
export class FetchClient {
  readonly #route: Route
  readonly #deps: TransportDeps
  readonly #pools: Pools
  /** Calls that have not been answered, and answers that have not been read to their end. */
  #running = 0
  #onIdle: (() => void) | undefined

  constructor(route: Route, deps: TransportDeps) {
    this.#route = route
    this.#deps = deps
    this.#pools = new Pools(route, deps.trace)
    // Every request under way listens to the signal: more than ten are not a leak.
    setMaxListeners(0, deps.signal)
  }

  /**
   * Calls a URL, on the NodePort where it applies. Redirects are followed within the same origin.
   * @throws NetworkError, TimeoutError, ServerCertificateError, ClientCertificateRefusedError, AnswerMalformedError; UntrustedUrlError for a
   *   redirect to another origin; the reason of an aborted signal; TypeError when the request itself is not valid
   */
  async fetch(url: URL, init: FetchInit = {}): Promise<FetchResponse> {
    const { origin, href } = resolveTarget(this.#route, url).url
    const signals = [this.#deps.signal, init.signal].filter((signal) => signal instanceof AbortSignal)
    const call: Call = { origin, signals, failure: undefined }
    this.#running++
    try {
      this.#deps.signal.throwIfAborted()
      const { fetchThrough } = await import('./undici-fetch.js')
      const dispatch: Dispatch = (options, handler) => {
        this.#dispatch(call, options, handler)
      }
      return await fetchThrough(dispatch, href, init)
    } catch (error) {
      throw error instanceof TypeError ? (call.failure ?? error) : error
    } finally {
      this.#finish()
    }
  }

  /** Closes the connections once the running requests have ended. Nothing may be called after this. */
  retire(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = () => {
        resolve(this.#pools.close())
      }
      if (this.#running === 0) this.#onIdle()
    })
  }

  /** Ends all connections at once. */
  close(): Promise<void> {
    return this.#pools.close()
  }

  #dispatch(call: Call, options: Dispatcher.DispatchOptions, handler: FetchHandler): void {
    const { origin, signals } = call
    const target = resolveTarget(this.#route, new URL(`${String(options.origin)}${options.path}`))
    if (target.url.origin !== origin) {
      call.failure = redirectRefused(origin, target.url.href, this.#deps.redactor)
      handler.onError(call.failure)
      return
    }
    this.#running++
    const exchange = new Exchange(target, this.#route.timeoutMs, ...signals)
    const guarded = new FetchExchange(handler, exchange, this.#route, (failure) => {
      call.failure = failure
      this.#finish()
    })
    void this.#send(origin, exchange, options, guarded)
  }

  async #send(
    origin: string,
    exchange: Exchange,
    options: Dispatcher.DispatchOptions,
    handler: FetchExchange,
  ): Promise<void> {
    try {
      const pool = await this.#pools.of(exchange)
      exchange.signal.throwIfAborted()
      const { timeoutMs } = this.#route
      const sent = { ...options, origin, headersTimeout: timeoutMs, bodyTimeout: timeoutMs }
      this.#pools.assign(sent, exchange)
      pool.dispatch(sent, handler)
    } catch (error) {
      handler.onError(asError(error))
    }
  }

  #finish(): void {
    this.#running--
    if (this.#running === 0) this.#onIdle?.()
  }
}
