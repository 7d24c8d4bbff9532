import { createExternalApi, type ExternalApiParts } from '../connector/external-api.js'
import { decodePath, redirectToCleanPath } from '../go/clean-path.js'
import type { Events } from '../events/events.js'
import { errorAnswer, notFound, type Backend } from '../http/exchange.js'
import { createRegistry, type RegistryParts } from '../registry/registry.js'

/** The services behind the gateway's ingress, by path: Connector, Registry and Events (docs/contract.md §0). */
export function createBackend(connectorParts: ExternalApiParts, registryParts: RegistryParts, events: Events): Backend {
  const connector = createExternalApi(connectorParts)
  const registry = createRegistry(registryParts)
  return (request) => {
    const redirect = redirectToCleanPath(request)
    if (redirect !== undefined) return redirect
    if (request.path.startsWith('/v1/')) return connector(request)
    const [, escaped = '', service, rest = ''] =
      /^\/([^/]+)\/v1\/(metadata(?=\/|$)|events)(.*)$/.exec(request.path) ?? []
    const app = decodePath(escaped)
    if (app === undefined) return errorAnswer(400, 'Bad Request')
    if (service === 'metadata') return registry(app, rest, request)
    return service === 'events' ? events(app, request) : notFound
  }
}
