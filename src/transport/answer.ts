import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { KyconnectError } from '../errors.js'

export interface Request {
  readonly method: string
  readonly url: URL
  /** Several values are sent as several fields. */
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer | Readable
  /** Names what a body that is a stream is read from, for the error when that is silent; default: "the source of the body". */
  readonly bodySource?: string
  /** How large an answer that is read completely may be; default: 1 MiB. */
  readonly maxAnswerBytes?: number
  /** When aborted, ends the request with its reason; default: the client's signal. */
  readonly signal?: AbortSignal
}

/** An answer that was read completely, within the limits. */
export interface Answer {
  readonly status: number
  /** Lower case; empty when there is none. */
  readonly contentType: string
  readonly body: string
  /** The URL as it was called. */
  readonly url: URL
  /** How many times the request was sent. */
  readonly attempts: number
}

/** An answer whose body has not been read yet. */
export interface StreamedAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly contentType: string
  readonly body: AsyncIterable<Uint8Array>
  readonly url: URL
  /** Why a redirect was not followed. */
  readonly notFollowed?: KyconnectError
}
