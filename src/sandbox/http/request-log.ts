import type { Tell } from './listener.js'

/** Writes a line for each request: time, listener, method, path with the token taken out, status (0: the client left) and how long it took. */
export function createRequestLog(listener: string, log: ((line: string) => void) | undefined, now: () => Date): Tell {
  return ({ method, target, status, milliseconds }) =>
    log?.(`${now().toISOString()} ${listener} ${method} ${redactToken(target)} ${status} ${milliseconds}ms`)
}

/** What is long enough for a token is taken for one whatever its name: of a mistyped URL it may still work. */
function redactToken(target: string): string {
  return target
    .replace(/[A-Za-z0-9_-]{60,}={0,2}/g, 'REDACTED')
    .replace(/([^?&;#/=]*)=([^?&;#/]*)/g, (whole, name: string) =>
      /token/i.test(decoded(name)) ? `${name}=REDACTED` : whole,
    )
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
