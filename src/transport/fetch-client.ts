import { setMaxListeners } from 'node:events'
import type { Dispatcher } from 'undici'
import { KyconnectError, UntrustedUrlError } from '../errors.js'
import { oneLine } from '../redaction.js'
import type { TransportDeps } from './client.js'
import { Exchange } from './exchange.js'
import { FetchExchange } from './fetch-exchange.js'
import { Pools } from './pools.js'
import { resolveTarget, type Route } from './route.js'
import type { FetchHandler, FetchInit, FetchResponse } from './undici-fetch.js'

export type { FetchInit, FetchResponse }

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
    const { signal } = this.#deps
    this.#running++
    try {
      signal.throwIfAborted()
      const { fetchThrough } = await import('./undici-fetch.js')
      const called = resolveTarget(this.#route, url).url
      const signals = init.signal === undefined || init.signal === null ? [signal] : [signal, init.signal]
      return await fetchThrough(
        (options, handler) => {
          this.#dispatch(called.origin, signals, options, handler)
        },
        called,
        init,
      )
    } catch (error) {
      throw causeOf(error, signal)
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

  #dispatch(
    origin: string,
    signals: readonly AbortSignal[],
    options: Dispatcher.DispatchOptions,
    handler: FetchHandler,
  ): void {
    const target = resolveTarget(this.#route, new URL(`${String(options.origin)}${options.path}`))
    if (target.url.origin !== origin) {
      handler.onError(redirectRefused(origin, target.url, this.#deps))
      return
    }
    this.#running++
    const exchange = new Exchange(target, this.#route.timeoutMs, ...signals)
    const guarded = new FetchExchange(handler, exchange, this.#route, () => {
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
      handler.onError(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #finish(): void {
    this.#running--
    if (this.#running === 0) this.#onIdle?.()
  }
}

/** fetch wraps in a TypeError what the connection reports. */
function causeOf(error: unknown, signal: AbortSignal): unknown {
  if (!(error instanceof TypeError)) return error
  const { cause } = error
  return cause instanceof KyconnectError || (signal.aborted && cause === signal.reason) ? cause : error
}

function redirectRefused(from: string, to: URL, { redactor }: TransportDeps): UntrustedUrlError {
  const shown = redactor.redact(oneLine(to.href)).slice(0, 500)
  return new UntrustedUrlError(`${from} redirects to another origin, ${shown}: not followed`, {
    hints: [
      'inform the administrator of the cluster about the redirect: a client certificate is presented to its own gateway only',
    ],
  })
}
