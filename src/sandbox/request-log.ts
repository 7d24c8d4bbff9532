import type { Tell } from './listener.js'

/** Writes a line for each request: time, listener, method, path without its token, status (0: the client left) and how long it took. */
export function createRequestLog(listener: string, log: ((line: string) => void) | undefined, now: () => Date): Tell {
  return ({ method, target, status, milliseconds }) =>
    log?.(`${now().toISOString()} ${listener} ${method} ${redactToken(target)} ${status} ${milliseconds}ms`)
}

/** Parameter names are compared decoded, as the Connector reads them. */
function redactToken(target: string): string {
  const mark = target.indexOf('?')
  if (mark === -1) return target
  const parameters = target.slice(mark + 1).split('&')
  const shown = parameters.map((parameter) => {
    const [name = ''] = parameter.split('=', 1)
    return new URLSearchParams(parameter).has('token') ? `${name}=REDACTED` : parameter
  })
  return `${target.slice(0, mark)}?${shown.join('&')}`
}
