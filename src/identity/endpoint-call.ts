import { ClientCertificateRefusedError, IdentityUnusableError, NetworkError, UsageError } from '../errors.js'
import { HttpClient, type Request, type StreamedAnswer, type TransportDeps } from '../transport/client.js'
import { locate } from '../transport/route.js'
import type { Identity, Urls } from './identity.js'
import { gatewayRoute, type RouteChoice } from './route.js'

/** What a caller needs to send a request and to read what came of it. */
export { type Request, type StreamedAnswer }

/** The endpoints of an App that can be called by name, and the wire name of each one's URL. */
export const callable = { metadata: 'metadataUrl', events: 'eventsUrl', info: 'infoUrl' } as const
export type CallableEndpoint = keyof typeof callable

export function isCallable(name: string): name is CallableEndpoint {
  return Object.hasOwn(callable, name)
}

/**
 * The URL of an endpoint with a path, and perhaps a query, appended. Whatever the path holds, the URL stays below the
 * endpoint: it is put together from parsed parts, and `..` is refused.
 * @throws UsageError, IdentityUnusableError when no URL is known
 */
export function endpointUrl(identity: Identity, endpoint: CallableEndpoint, path: string): URL {
  const base = identity.metadata.urls[callable[endpoint]]
  if (base === undefined) {
    throw new IdentityUnusableError(`no ${callable[endpoint]} is known for the App "${identity.metadata.app}"`, {
      hints: ['the cluster may not have assigned one yet: "kyconnect info" asks again'],
    })
  }
  const [, pathname = '', query = ''] = /^([^?#]*)(\?[^#]*)?/.exec(path) ?? []
  const decoded = pathname.replace(/%2e/gi, '.').replace(/%2f/gi, '/').replace(/%5c/gi, '\\')
  if (path.includes('#') || /[\\\s]/.test(decoded) || decoded.split('/').includes('..')) {
    throw new UsageError(`${JSON.stringify(path)} is no path below ${endpoint}`, {
      hints: [`a path looks like /<id> or ?name=value: kyconnect call ${endpoint} /<id>`],
    })
  }
  const url = new URL(base)
  if (pathname !== '') url.pathname = `${url.pathname.replace(/\/+$/, '')}/${pathname.replace(/^\/+/, '')}`
  if (query !== '') url.search = query
  return url
}

/** An authenticated request to an endpoint; the answer is handed on as it comes. End it with the returned `close`. */
export async function callEndpoint(
  identity: Identity,
  choice: RouteChoice,
  transport: TransportDeps,
  request: Request,
): Promise<{ answer: StreamedAnswer; close: () => Promise<void> }> {
  const http = new HttpClient(gatewayRoute(identity, choice, request.url), transport)
  try {
    return { answer: await http.stream(request), close: () => http.close() }
  } catch (error) {
    await http.close()
    throw error
  }
}

/** A certificate that was refused, or may have been, told by what is known of it: its dates, and the profile to pair again. Any other error as it is. */
export function explainRefusal(error: unknown, { metadata }: Identity, now: Date): unknown {
  const closed = error instanceof NetworkError && /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/.test(error.reason ?? '')
  if (!closed && !(error instanceof ClientCertificateRefusedError)) return error
  const { notBefore, notAfter, profile } = metadata
  const why =
    notAfter < now
      ? `it expired on ${notAfter.toISOString()}`
      : notBefore > now
        ? `by this machine's clock it is valid only from ${notBefore.toISOString()}`
        : `it is valid until ${notAfter.toISOString()}: is it from this cluster, and has the cluster's CA changed?`
  if (closed) return error.addHint(`of the client certificate: ${why}`)
  return error.replaceHints(why, `pair again with a new token URL: kyconnect pair --force --profile ${profile} --url -`)
}

/** The URLs as they are called: with the NodePort where one belongs. */
export function calledUrls(identity: Identity, choice: RouteChoice): Urls {
  return Object.fromEntries(
    Object.entries(identity.metadata.urls).map(([name, text]) => {
      const url = new URL(text)
      return [name, locate(gatewayRoute(identity, choice, url), url).url.href]
    }),
  )
}
