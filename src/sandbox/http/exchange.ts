import type { IncomingHttpHeaders } from 'node:http'
import { marshal } from '../go/json.js'

/** A request once its body is read. */
export interface Request {
  readonly method: string
  /** As sent: not decoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Sends more after the body; the answer then has no length and goes on until this ends it, or the client leaves. */
  readonly stream?: (outlet: Outlet) => void
}

/** Where the rest of an answer goes. */
export interface Outlet {
  send(text: string): void
  end(): void
  /** Ends the connection in the middle of the answer. */
  cut(): void
  /** However it ends. */
  onClose(act: () => void): void
}

/** A service: knows nothing of TLS, ports or limits. */
export type Backend = (request: Request) => Answer | Promise<Answer>

const JSON_TYPE = { 'content-type': 'application/json;charset=UTF-8' }

/** An answer of Connector or Registry from a JSON text (contract §3). */
export function jsonAnswer(status: number, json: string): Answer {
  return { status, headers: JSON_TYPE, body: json + '\n' }
}

/** An answer without a body that still has a JSON Content-Type (contract §8). */
export function emptyJsonAnswer(status: number): Answer {
  return { status, headers: JSON_TYPE, body: '' }
}

export function errorAnswer(code: number, error: string): Answer {
  return jsonAnswer(code, marshal({ code, error }))
}

export const notFound = errorAnswer(404, 'Requested resource could not be found.')
export const methodNotAllowed = errorAnswer(405, 'Method not allowed.')

/** A header's first value, its bytes read as UTF-8 as Go does; '' when it is missing. */
export function headerOf(request: Request, name: string): string {
  const value = request.headers[name]
  return Buffer.from((Array.isArray(value) ? value[0] : value) ?? '', 'latin1').toString('utf8')
}
