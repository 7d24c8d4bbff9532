const HOST_NAME = /^[a-z0-9\u00a1-\uffff._-]+$/i
const MAX_LENGTH = 2083
const MIN_LENGTH = 3

/**
 * Whether the Registry accepts a text as a URL (docs/contract.md §9): no scheme is needed, and `mailto:a@b.c` passes because `mailto:a@`
 * is read as credentials. The rules follow the recorded behaviour, not the expression of the Registry's library.
 */
export function isServiceUrl(text: string): boolean {
  if (text.length <= MIN_LENGTH || text.length >= MAX_LENGTH || /\s/.test(text)) return false
  const scheme = /^(?:ftp|tcp|udp|wss?|https?):\/\//.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  const end = rest.search(/[/?#]/)
  const authority = end === -1 ? rest : rest.slice(0, end)
  const hostAndPort = authority.slice(authority.lastIndexOf('@') + 1)
  const host = hostAndPort.replace(/:\d{1,5}$/, '')
  if (!/^\[[0-9a-f:.]+\]$/i.test(host) && !isHostName(host)) return false
  if (isShortHandAddress(host) || hasBadEscape(text)) return false
  // Without scheme and port Go takes the text for a path. It then needs a dot to look like a host.
  return scheme !== '' || text.includes(':') || text.includes('.')
}

/** An address of two or three numbers, such as 127.1 for 127.0.0.1. */
function isShortHandAddress(host: string): boolean {
  return /^\d+(?:\.\d+){1,2}\.?$/.test(host)
}

/** Go takes a query as it is, and decodes everything else. */
function hasBadEscape(text: string): boolean {
  const [beforeFragment = '', ...fragment] = text.split('#')
  const [beforeQuery = ''] = beforeFragment.split('?')
  return [beforeQuery, ...fragment].some((part) => /%(?![0-9a-f]{2})/i.test(part))
}

/** A host name begins and ends with a letter or a digit; one dot may follow. */
function isHostName(host: string): boolean {
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  return HOST_NAME.test(name) && !/^[._-]|[._-]$/.test(name)
}
