import type { IncomingHttpHeaders } from 'node:http'
import { marshal } from '../go/json.js'

/** A request whose body has been read. */
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
  /** Sends more after the body. The answer then has no length and goes on until this ends it or the client leaves. */
  readonly stream?: (outlet: Outlet) => void
}

/** Sends the rest of a streamed answer. */
export interface Outlet {
  /** Sends a text. The connection is dropped instead when the client has left too much of the earlier texts unread. */
  send(text: string): void
  end(): void
  /** Breaks the connection in the middle of the answer. */
  cut(): void
  /** Calls `act` once the answer has ended, for whatever reason. */
  onClose(act: () => void): void
}

/** A service. It knows nothing of TLS, ports or limits. */
export type Backend = (request: Request) => Answer | Promise<Answer>

const JSON_TYPE = { 'content-type': 'application/json;charset=UTF-8' }

/** An answer of the Connector or the Registry from a JSON text (docs/contract.md §3). */
export function jsonAnswer(status: number, json: string): Answer {
  return { status, headers: JSON_TYPE, body: json + '\n' }
}

/** An answer without a body that still has a JSON Content-Type (docs/contract.md §8). */
export function emptyJsonAnswer(status: number): Answer {
  return { status, headers: JSON_TYPE, body: '' }
}

export function errorAnswer(code: number, error: string): Answer {
  return jsonAnswer(code, marshal({ code, error }))
}

export const notFound = errorAnswer(404, 'Requested resource could not be found.')
export const methodNotAllowed = errorAnswer(405, 'Method not allowed.')

/** The first value of a header, its bytes read as UTF-8 as Go reads them; '' when it is missing. */
export function headerOf(request: Request, name: string): string {
  const value = request.headers[name]
  return Buffer.from((Array.isArray(value) ? value[0] : value) ?? '', 'latin1').toString('utf8')
}
