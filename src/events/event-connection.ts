import { endpointUrl } from '../gateway/endpoint-url.js'
import type { Identity } from '../identity/identity.js'
import { gatewayRoute, type RouteChoice } from '../identity/route.js'
import type { EventRoute, SenderDeps } from './event-sender.js'

/** Where the identity comes from: a `Keeper`. */
interface IdentitySource {
  /** The identity to use now. A certificate that is due is renewed in the background. */
  usable(): Promise<Identity>
  /** The same, after looking for a newer certificate, and waiting for a renewal. */
  refresh(): Promise<Identity>
}

/** How the connections for events are opened: each with the certificate as it is then, so that a stream of events outlives a renewal. */
export function eventConnection(
  source: IdentitySource,
  choice: RouteChoice,
): Pick<SenderDeps, 'route' | 'renewedRoute' | 'after' | 'every'> {
  let last: (EventRoute & { readonly identity: Identity }) | undefined
  // The same route until the identity changes: the connections of one route share what they parse, and resume each other's TLS sessions.
  const routeOf = (identity: Identity): EventRoute => {
    if (last?.identity !== identity)
      last = { identity, route: gatewayRoute(choice, identity), url: endpointUrl(identity.metadata, 'events', '') }
    return last
  }
  return {
    route: async () => routeOf(await source.usable()),
    renewedRoute: async () => routeOf(await source.refresh()),
    after,
    every,
  }
}

/** Runs work after a time. @returns cancels it */
export function after(milliseconds: number, work: () => void): () => void {
  const timer = setTimeout(work, milliseconds)
  return () => {
    clearTimeout(timer)
  }
}

/** Runs work again and again, and does not keep the process running for that. @returns ends it */
function every(milliseconds: number, work: () => void): () => void {
  const timer = setInterval(work, milliseconds).unref()
  return () => {
    clearInterval(timer)
  }
}
