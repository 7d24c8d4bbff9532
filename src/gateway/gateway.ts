import type { Identity, Urls } from '../identity/identity.js'
import { gatewayRoute, type RouteChoice } from '../identity/route.js'
import type { Request, StreamedAnswer } from '../transport/answer.js'
import { HttpClient, type TransportDeps } from '../transport/client.js'
import { resolveTarget, type Route } from '../transport/route.js'
import { type Endpoint, endpointUrl } from './endpoint-url.js'
import { explainNodePort } from './moved-node-port.js'
import { explainRefusal } from './refused-certificate.js'

export type { StreamedAnswer }

export type RequestInit = Partial<Omit<Request, 'url'>>

/**
 * An identity on an open connection to its gateway: NodePort, resolve rules, CA and proxy are applied, and the certificate is presented
 * to the gateway alone. Connections are kept alive until `close`.
 */
export interface Gateway {
  /** The URL that `fetch` calls. @throws UsageError, IdentityUnusableError */
  url(endpoint: Endpoint, path?: string): URL
  /**
   * Sends an authenticated request; the method defaults to GET. Resolves for any status, before the body has arrived.
   * @throws NetworkError, TimeoutError, ServerCertificateError, ClientCertificateRefusedError and what `url` throws
   */
  fetch(endpoint: Endpoint, path?: string, init?: RequestInit): Promise<StreamedAnswer>
  close(): Promise<void>
}

export class IdentityGateway implements Gateway {
  /** For the Connector's own endpoints behind the gateway. */
  readonly client: HttpClient
  readonly #identity: Identity
  readonly #route: Route
  readonly #now: () => Date

  constructor(identity: Identity, choice: RouteChoice, transport: TransportDeps, now: () => Date) {
    this.#identity = identity
    this.#route = gatewayRoute(choice, identity)
    this.#now = now
    this.client = new HttpClient(this.#route, transport)
  }

  url(endpoint: Endpoint, path = ''): URL {
    return resolveTarget(this.#route, endpointUrl(this.#identity.metadata, endpoint, path)).url
  }

  async fetch(endpoint: Endpoint, path = '', { method = 'GET', ...rest }: RequestInit = {}): Promise<StreamedAnswer> {
    const url = endpointUrl(this.#identity.metadata, endpoint, path)
    try {
      return await this.client.stream({ ...rest, method, url })
    } catch (error) {
      throw this.explain(error)
    }
  }

  /** Adds to an error what is known about the identity: for instance, that its certificate has expired. */
  explain(error: unknown): unknown {
    const { metadata } = this.#identity
    return explainNodePort(explainRefusal(error, metadata, this.#now()), metadata)
  }

  close(): Promise<void> {
    return this.client.close()
  }
}

/** The URLs of an identity as this run calls them: with the NodePort where it applies. */
export function calledUrls(identity: Identity, choice: RouteChoice): Urls {
  const route = gatewayRoute(choice, identity)
  return Object.fromEntries(
    Object.entries(identity.metadata.urls).map(([name, text]) => [name, resolveTarget(route, new URL(text)).url.href]),
  )
}
