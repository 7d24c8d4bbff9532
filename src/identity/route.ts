import { parseResolveRule, type ResolveRule, type Route } from '../transport/route.js'
import type { Identity, StoredRoute } from './identity.js'

export { parseResolveRule, type ResolveRule }

/** How this run wants the services reached: flags, then environment. What is undefined is taken from the identity. */
export interface RouteChoice {
  readonly nodePort: number | undefined
  readonly resolve: readonly ResolveRule[] | undefined
  /** PEM. */
  readonly serverCa: string | undefined
  readonly insecure: boolean
  readonly timeoutMs: number
  /** PEM files named by the environment (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS). */
  readonly rootFiles: readonly string[]
}

/** The choice of this run, completed from what is stored. */
export function completeRoute(choice: RouteChoice, stored: StoredRoute): StoredRoute {
  return {
    nodePort: choice.nodePort ?? stored.nodePort,
    resolve: choice.resolve ?? stored.resolve,
    serverCa: choice.serverCa ?? stored.serverCa,
  }
}

/** What is stored of a choice when there is nothing before it. */
export const nothingStored: StoredRoute = { nodePort: null, resolve: [], serverCa: null }

/** The way to a Connector Service: server TLS only, no NodePort. */
export function connectorRoute(choice: RouteChoice, stored: StoredRoute = nothingStored): Route {
  const { resolve, serverCa } = completeRoute(choice, stored)
  return {
    nodePort: null,
    gatewayHost: null,
    resolve,
    trust: { ca: serverCa, rootFiles: choice.rootFiles, insecure: choice.insecure },
    clientCertificate: null,
    timeoutMs: choice.timeoutMs,
  }
}

/** The way to a URL of the gateway, with the identity's certificate: shown to the gateway fixed at pairing, and to hosts the user agreed to. */
export function gatewayRoute({ metadata, material }: Identity, choice: RouteChoice, url: URL): Route {
  const { nodePort, resolve, serverCa } = completeRoute(choice, metadata.route)
  return {
    nodePort: url.hostname === metadata.gatewayHost ? nodePort : null,
    gatewayHost: metadata.acceptedHosts.includes(url.hostname) ? url.hostname : metadata.gatewayHost,
    resolve,
    trust: { ca: serverCa, rootFiles: choice.rootFiles, insecure: choice.insecure },
    clientCertificate: { chain: material.chain, key: material.key },
    timeoutMs: choice.timeoutMs,
  }
}
