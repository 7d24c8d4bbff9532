import { createExternalConnector, type ConnectorParts } from '../connector/external-api.js'
import { createEvents } from '../events/events.js'
import { errorAnswer, notFound, type Backend } from '../http/exchange.js'
import { createRegistry, type RegistryParts } from '../registry/registry.js'

/** What the gateway's ingress hands on to, path by path: Connector, Registry and Events (contract §0). */
export function createBackend(connectorParts: ConnectorParts, registryParts: RegistryParts): Backend {
  const connector = createExternalConnector(connectorParts)
  const registry = createRegistry(registryParts)
  const events = createEvents(registryParts.newId)
  return (request) => {
    if (request.path.startsWith('/v1/')) return connector(request)
    const [, escaped = '', service, rest = ''] =
      /^\/([^/]+)\/v1\/(metadata(?=\/|$)|events)(.*)$/.exec(request.path) ?? []
    const app = decode(escaped)
    if (app === undefined) return errorAnswer(400, 'Bad Request')
    if (service === 'metadata') return registry(app, rest, request)
    return service === 'events' ? events(app, request) : notFound
  }
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
