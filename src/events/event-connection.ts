import { endpointUrl } from '../gateway/endpoint-url.js'
import type { Identity } from '../identity/identity.js'
import { gatewayRoute, type RouteChoice } from '../identity/route.js'
import type { Route } from '../transport/route.js'
import type { SenderDeps } from './event-sender.js'

/**
 * How the connections for events are made. Each has the certificate as it is then, so that a stream of events outlives a renewal.
 * @param usable the identity to use now
 */
export function eventConnection(
  usable: () => Promise<Identity>,
  choice: RouteChoice,
): Pick<SenderDeps, 'route' | 'after'> {
  // Made anew only when the identity has changed: the connections of one route share what they parse, and resume each other's TLS sessions.
  let made: { readonly identity: Identity; readonly route: Route; readonly url: URL } | undefined
  return {
    route: async () => {
      const identity = await usable()
      if (made?.identity !== identity) {
        made = { identity, route: gatewayRoute(choice, identity), url: endpointUrl(identity.metadata, 'events', '') }
      }
      return made
    },
    after,
  }
}

/** Runs work after a time. @returns cancels it */
export function after(milliseconds: number, work: () => void): () => void {
  const timer = setTimeout(work, milliseconds)
  return () => {
    clearTimeout(timer)
  }
}
