import { Dispatcher, fetch, FormData } from 'undici'
import type { FetchInit, FetchResponse } from './fetch-message.js'

/** What undici's fetch expects of the handler that it passes to a dispatcher, and of one that replaces it. */
export interface FetchHandler {
  onConnect(abort: (reason?: Error) => void): void
  onResponseStarted(): void
  /** @returns whether to go on reading */
  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean
  /** @returns whether to go on reading */
  onData(chunk: Buffer): boolean
  onComplete(trailers: string[] | null): void
  onError(error: Error): void
}

/** Sends one request of a fetch; each redirect is another request. It reports every outcome to the handler, and throws nothing. */
export type Dispatch = (options: Dispatcher.DispatchOptions, handler: FetchHandler) => void

/** Calls a URL with undici's fetch. @throws TypeError whose cause is what the handler was given; the reason of `init.signal` */
export function fetchThrough(dispatch: Dispatch, url: string, init: FetchInit): Promise<FetchResponse> {
  const { body = null, headers = {} } = init
  return fetch(url, {
    ...init,
    headers: headerPairs(headers),
    body: isFormData(body) ? ownFormData(body) : body,
    dispatcher: new CallbackDispatcher(dispatch),
  })
}

function headerPairs(headers: NonNullable<FetchInit['headers']>): [string, string][] {
  const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers)
  return pairs.map(([name = '', value = '']) => [name, String(value)])
}

class CallbackDispatcher extends Dispatcher {
  readonly #dispatch: Dispatch

  constructor(dispatch: Dispatch) {
    super()
    this.#dispatch = dispatch
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: FetchHandler): boolean {
    this.#dispatch(options, handler)
    return true
  }
}

/** Asks for the name first, because Node loads its own fetch when the global class is mentioned. */
function isFormData(body: unknown): body is globalThis.FormData {
  return Object.prototype.toString.call(body) === '[object FormData]' && body instanceof globalThis.FormData
}

/** undici's fetch knows its own class only, and would send another one as the text "[object FormData]". */
function ownFormData(form: globalThis.FormData): FormData {
  const own = new FormData()
  for (const [name, value] of form) own.append(name, value)
  return own
}
