import { errorCodeOf } from '../errors.js'
import type { Exchange } from './exchange.js'
import { translateFailure } from './failure.js'
import type { Route } from './route.js'
import type { FetchHandler } from './undici-fetch.js'

/** undici's own limits, which pause while a body is sent and while the reader of an answer is slow. */
const timeouts = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** Connects undici's fetch with a connection: it ends the exchange with the request, and turns failures into our errors. */
export class FetchExchange implements FetchHandler {
  readonly #inner: FetchHandler
  readonly #exchange: Exchange
  readonly #route: Route
  readonly #onEnd: (failure: Error | undefined) => void
  #abortRequest: ((reason?: Error) => void) | undefined
  #hasEnded = false

  /** @param onEnd called once, when the answer is complete or the request has failed */
  constructor(inner: FetchHandler, exchange: Exchange, route: Route, onEnd: (failure: Error | undefined) => void) {
    this.#inner = inner
    this.#exchange = exchange
    this.#route = route
    this.#onEnd = onEnd
    exchange.signal.addEventListener('abort', this.#abort, { once: true })
    if (exchange.signal.aborted) this.#abort()
  }

  onConnect(abort: (reason?: Error) => void): void {
    if (this.#hasEnded) {
      // It was aborted while it waited for a connection.
      abort()
      return
    }
    this.#abortRequest = abort
    this.#exchange.pauseTimeout()
    this.#inner.onConnect(abort)
  }

  onResponseStarted(): void {
    this.#inner.onResponseStarted()
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    this.#exchange.checkInterim(status)
    if (this.#hasEnded) return false
    if (status >= 200) this.#exchange.phase = 'reading the answer'
    return this.#inner.onHeaders(status, headers, resume, statusText)
  }

  onData(chunk: Buffer): boolean {
    return this.#inner.onData(chunk)
  }

  onComplete(trailers: string[] | null): void {
    if (this.#hasEnded) return
    this.#end(undefined)
    this.#inner.onComplete(trailers)
  }

  onError(error: Error): void {
    if (this.#hasEnded) return
    const failure = this.#translate(error)
    this.#end(failure)
    this.#inner.onError(failure)
  }

  readonly #abort = (): void => {
    const reason = this.#reason()
    if (this.#abortRequest === undefined) this.onError(reason)
    else this.#abortRequest(reason)
  }

  #reason(): Error {
    const reason: unknown = this.#exchange.signal.reason
    return reason instanceof Error ? reason : new Error('aborted', { cause: reason })
  }

  #translate(error: Error): Error {
    if (this.#exchange.signal.aborted) return this.#reason()
    if (timeouts.has(errorCodeOf(error))) return this.#exchange.timeoutError()
    return translateFailure(error, this.#route, this.#exchange)
  }

  #end(failure: Error | undefined): void {
    this.#hasEnded = true
    this.#exchange.signal.removeEventListener('abort', this.#abort)
    this.#exchange.end()
    this.#onEnd(failure)
  }
}
