import type { ReportExchange } from './listener.js'

/** Of a fingerprint. */
const SHOWN_DIGITS = 16

/**
 * Writes one line per request: time, listener, method, path without tokens, status (0 when the client left first), how long the
 * answer took, and the start of the fingerprint of the client's certificate.
 */
export function createRequestLog(listener: string, log: (line: string) => void, now: () => Date): ReportExchange {
  return ({ method, target, status, durationMs, client }) => {
    log(
      `${now().toISOString()} ${listener} ${method} ${redactToken(target)} ${status} ${durationMs}ms${client === undefined ? '' : ` ${client.slice(0, SHOWN_DIGITS)}`}`,
    )
  }
}

/** Anything as long as a token is redacted whatever its parameter is called: a token in a mistyped URL may still work. */
function redactToken(target: string): string {
  return target
    .replace(/[\w-]{60,}={0,2}/g, 'REDACTED')
    .split(/([?&;#/])/)
    .map(redactParameter)
    .join('')
}

function redactParameter(part: string): string {
  const equals = part.indexOf('=')
  if (equals === -1) return part
  const name = part.slice(0, equals)
  return decode(name).toLowerCase().includes('token') ? `${name}=REDACTED` : part
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
