/** The bytes that arrived are not an answer that kyconnect accepts; the message says why. */
export class MalformedAnswer extends Error {}

/** What is read from a status line and headers. */
export interface AnswerHead {
  readonly status: number
  /** Lower case; empty when there is none. */
  readonly contentType: string
  /** How long the server asks to wait before the next request (RFC 9110, section 10.2.3); undefined when it does not, or names a date. */
  readonly retryAfterMs: number | undefined
  /** How the body ends: its number of bytes, or chunked; `interim`: another answer to the same request follows. */
  readonly framing: number | 'chunked' | 'interim'
  /**
   * Whether another answer can follow: `stays`; `closes`: the server announces that it closes the connection and processes nothing that
   * was sent on it after this request (RFC 9112, section 9.6); `unknown`: an HTTP/1.0 server announces nothing.
   */
  readonly connection: 'stays' | 'closes' | 'unknown'
}

/**
 * Parses a status line and headers (RFC 9112, sections 4, 5 and 6).
 * @param text without the blank line at its end
 * @throws MalformedAnswer
 */
export function parseHead(text: string): AnswerHead {
  const [statusLine = '', ...lines] = text.split('\r\n')
  const [, minor, digits = ''] = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/.exec(statusLine) ?? []
  if (minor === undefined || !isText(statusLine)) throw new MalformedAnswer('the status line')
  const status = Number(digits)
  let contentType = ''
  let retryAfterMs: number | undefined
  let length: string | undefined
  let encoding: string | undefined
  let connection: AnswerHead['connection'] = minor === '1' ? 'stays' : 'unknown'
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase()
    // Also refuses a line that continues the one before (section 5.2), and a blank before the colon (section 5.1).
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || !isText(line)) throw new MalformedAnswer('a header')
    const value = line.slice(colon + 1).trim()
    switch (name) {
      case 'content-type':
        contentType = value.toLowerCase()
        break
      case 'retry-after':
        if (/^\d{1,9}$/.test(value)) retryAfterMs = Number(value) * 1000
        break
      case 'content-length':
        if (length !== undefined) throw new MalformedAnswer('several Content-Length headers')
        if (!/^\d{1,15}$/.test(value)) throw new MalformedAnswer('the Content-Length is not a number')
        length = value
        break
      case 'transfer-encoding':
        if (encoding !== undefined || value.toLowerCase() !== 'chunked')
          throw new MalformedAnswer('a transfer encoding other than chunked')
        encoding = value
        break
      case 'connection':
        if (
          value
            .toLowerCase()
            .split(',')
            .some((option) => option.trim() === 'close')
        )
          connection = 'closes'
        break
    }
  }
  return { status, contentType, retryAfterMs, framing: framingOf(status, length, encoding), connection }
}

function framingOf(status: number, length: string | undefined, encoding: string | undefined): AnswerHead['framing'] {
  if (status === 101) throw new MalformedAnswer('an upgrade that was not requested')
  if (status < 200) return 'interim'
  if (length !== undefined && encoding !== undefined)
    throw new MalformedAnswer('both Content-Length and a transfer encoding')
  if (status === 204 || status === 304) return 0
  if (encoding !== undefined) return 'chunked'
  // Without either, the body would end where the connection ends, and a broken connection would look like a complete answer.
  if (length === undefined) throw new MalformedAnswer('neither a Content-Length nor a transfer encoding')
  return Number(length)
}

/** Whether a line has no control characters: a bare CR, LF or NUL is read differently by different programs. */
function isText(line: string): boolean {
  return !/[\0-\x08\x0a-\x1f\x7f]/.test(line)
}
