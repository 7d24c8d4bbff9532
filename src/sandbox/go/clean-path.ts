import type { Answer, Request } from '../http/exchange.js'

/** A decoded path without empty, `.` and `..` segments; a slash at its end stays. Go's routers and NGINX agree on this form. */
export function cleanPath(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const end = path.endsWith('/') && kept.length > 0 ? '/' : ''
  return `/${kept.join('/')}${end}`
}

/** A decoded path; undefined when it is not percent-encoded correctly. */
export function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/** The redirect by which Go's router answers a request for a path that is not clean; undefined for a clean one. */
export function redirectToCleanPath({ path, query }: Request): Answer | undefined {
  const decoded = decodePath(path)
  if (decoded === undefined) return undefined
  const clean = cleanPath(decoded)
  if (clean === decoded) return undefined
  const search = query.size === 0 ? '' : `?${query.toString()}`
  return { status: 301, headers: { location: encodeURI(clean) + search }, body: '' }
}
