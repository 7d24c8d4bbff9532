const HOST_NAME = /^[a-z0-9\u00a1-\uffff](?:[a-z0-9\u00a1-\uffff._-]*[a-z0-9\u00a1-\uffff])?\.?$/i
const MAX_LENGTH = 2083
const MIN_LENGTH = 3

/**
 * What the Registry takes for a URL (contract §9): a scheme is not needed, and `mailto:a@b.c` passes, its `mailto:a@` taken for
 * credentials. Read from the behaviour recorded, not a copy of the library's expression.
 */
export function isServiceUrl(text: string): boolean {
  if (text.length <= MIN_LENGTH || text.length >= MAX_LENGTH || /\s/.test(text)) return false
  const scheme = /^(?:ftp|tcp|udp|wss?|https?):\/\//.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  const end = rest.search(/[/?#]/)
  const authority = end === -1 ? rest : rest.slice(0, end)
  const hostAndPort = authority.slice(authority.lastIndexOf('@') + 1)
  const host = hostAndPort.replace(/:\d{1,5}$/, '')
  if (!/^\[[0-9a-f:.]+\]$/i.test(host) && !HOST_NAME.test(host)) return false
  // Without a scheme and a port it is a path to Go, and must look like a host by its dot.
  return scheme !== '' || text.includes(':') || text.includes('.')
}
