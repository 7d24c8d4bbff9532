import { IdentityUnusableError, UsageError } from '../errors.js'
import type { Metadata } from '../identity/identity.js'

/** The endpoints of an App that can be called by name, and the wire name of each one's URL. */
export const endpoints = { metadata: 'metadataUrl', events: 'eventsUrl', info: 'infoUrl' } as const
export type Endpoint = keyof typeof endpoints

export function isEndpoint(name: string): name is Endpoint {
  return Object.hasOwn(endpoints, name)
}

/**
 * The URL of an endpoint with a path, and perhaps a query, appended. Whatever the path contains, the URL stays below the endpoint: it is
 * built from parsed parts, and `..` is refused.
 * @throws UsageError; IdentityUnusableError when no URL is known
 */
export function endpointUrl(metadata: Metadata, endpoint: Endpoint, path: string): URL {
  const base = metadata.urls[endpoints[endpoint]]
  if (base === undefined) {
    throw new IdentityUnusableError(`the App "${metadata.app}" has no ${endpoints[endpoint]}`, {
      hints: ['ask the gateway again, because the cluster may assign it later: kyconnect info'],
    })
  }
  const queryStart = path.indexOf('?')
  const [pathname, query] = queryStart < 0 ? [path, ''] : [path.slice(0, queryStart), path.slice(queryStart)]
  const decoded = pathname.replace(/%2e/gi, '.').replace(/%2f/gi, '/').replace(/%5c/gi, '\\')
  if (path.includes('#') || /[\\\s]/.test(decoded) || decoded.split('/').includes('..')) {
    throw new UsageError(`${JSON.stringify(path.slice(0, 200))} is not a path below ${endpoint}`, {
      hints: [`write a path as /<id> or ?name=value: kyconnect call ${endpoint} /<id>`],
    })
  }
  const url = new URL(base)
  if (pathname !== '') url.pathname = `${withoutTrailing(url.pathname)}/${withoutLeading(pathname)}`
  if (query !== '') url.search = query
  return url
}

function withoutTrailing(path: string): string {
  let end = path.length
  while (path[end - 1] === '/') end--
  return path.slice(0, end)
}

function withoutLeading(path: string): string {
  let start = 0
  while (path[start] === '/') start++
  return path.slice(start)
}
