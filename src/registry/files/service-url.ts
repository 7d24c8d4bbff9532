/** The Registry's bounds: longer than 3 characters, shorter than 2083. */
const minLength = 4
const maxLength = 2082

/**
 * Whether the Registry accepts a text as a URL, as its recorded answers show (docs/contract.md §9). No scheme is needed, but then a dot or
 * a port is: `orders.example/v1`. `mailto:a@b.c` passes, because the text before the @ counts as a user.
 */
export function isAcceptedUrl(text: string): boolean {
  if (text.length < minLength || text.length > maxLength || /[\s\p{Cc}]/u.test(text)) return false
  const [, scheme = '', rest = ''] = /^((?:https?|wss?|ftp|tcp|udp):\/\/)?(.*)$/.exec(text) ?? []
  const end = rest.search(/[/?#]/)
  const authority = end === -1 ? rest : rest.slice(0, end)
  const path = end === -1 ? '' : rest.slice(end)
  if (!isHostAndPort(authority.slice(authority.lastIndexOf('@') + 1))) return false
  if (scheme === '' && !/[.:]/.test(text)) return false
  return hasValidEscapes(path)
}

function isHostAndPort(text: string): boolean {
  if (text.startsWith('[')) return /^\[[\da-f:.]+\](?::\d{1,5})?$/i.test(text)
  const host = text.replace(/:\d{1,5}$/, '').replace(/\.$/, '')
  if (!/^[a-z\d\u00a1-\uffff](?:[\w.\u00a1-\uffff-]*[a-z\d\u00a1-\uffff])?$/i.test(host)) return false
  // 127.1 is a short-hand for 127.0.0.1 that the Registry refuses.
  if (!/^[\d.]+$/.test(host)) return true
  const numbers = host.split('.')
  return (
    numbers.length === 1 ||
    (numbers.length === 4 && numbers.every((number) => /^\d{1,3}$/.test(number) && Number(number) <= 255))
  )
}

/** Go refuses a bad escape in a path and in a fragment, and takes a query as it is. */
function hasValidEscapes(text: string): boolean {
  const hash = text.indexOf('#')
  const beforeHash = hash === -1 ? text : text.slice(0, hash)
  const query = beforeHash.indexOf('?')
  const path = query === -1 ? beforeHash : beforeHash.slice(0, query)
  const fragment = hash === -1 ? '' : text.slice(hash)
  return !/%(?![\da-f]{2})/i.test(path) && !/%(?![\da-f]{2})/i.test(fragment)
}

/** Whether a URL has a password in it: such a URL would be a secret in a file. */
export function hasPassword(url: string): boolean {
  return /^[a-z]+:\/\/[^/?#@:]*:[^/?#@]+@/i.test(url)
}
