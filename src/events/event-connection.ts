import { endpointUrl } from '../gateway/endpoint-url.js'
import type { Identity } from '../identity/identity.js'
import { gatewayRoute, type RouteChoice } from '../identity/route.js'
import type { SenderDeps } from './event-sender.js'

/**
 * How the connections for events are made. Each has the certificate as it is then, so that a stream of events outlives a renewal.
 * @param usable the identity to use now
 */
export function eventConnection(
  usable: () => Promise<Identity>,
  choice: RouteChoice,
): Pick<SenderDeps, 'route' | 'after'> {
  return {
    route: async () => {
      const identity = await usable()
      return { route: gatewayRoute(choice, identity), url: endpointUrl(identity.metadata, 'events', '') }
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
