import { type ProxySettings, parseProxyUrl, readProxyUrl, showProxy } from '../transport/proxy.js'
import { formatResolveRule, parseResolveRule, type ResolveRule, type Route } from '../transport/route.js'
import type { Identity, StoredRoute } from './identity.js'

export { formatResolveRule, parseResolveRule, readProxyUrl, type ResolveRule, showProxy }

/**
 * How this run reaches the services: by its flags, then its environment. The identity provides what is undefined here; null, and no resolve
 * rules, mean that the run does without what is stored.
 */
export interface RouteChoice {
  readonly nodePort: number | null | undefined
  readonly resolve: readonly ResolveRule[] | undefined
  /** PEM. */
  readonly serverCa: string | null | undefined
  /** From the flag; null for `none`. */
  readonly proxy: URL | null | undefined
  readonly insecure: boolean
  readonly timeoutMs: number
  /** Connections to one origin at a time; default: 8. */
  readonly connections?: number
  readonly environment: RouteEnvironment
}

/** What the environment says about reaching servers. It is never stored. */
export interface RouteEnvironment {
  /** HTTPS_PROXY. */
  readonly proxy: URL | undefined
  /** NO_PROXY. It applies to every proxy, as in curl. */
  readonly noProxy: readonly string[]
  /** PEM files named by SSL_CERT_FILE and NODE_EXTRA_CA_CERTS. */
  readonly rootFiles: readonly string[]
  /** Where this platform may keep its bundle of roots. */
  readonly systemRootFiles: readonly string[]
}

/** The stored route of a pairing that replaces nothing. */
export const nothingStored: StoredRoute = { nodePort: null, resolve: [], serverCa: null, proxy: null }

/** Completes the flags and variables of this run from the stored route. `pair` and `info --save` store the result. Nothing else merges the two. */
export function completeRoute(choice: RouteChoice, stored: StoredRoute): StoredRoute {
  return {
    nodePort: choice.nodePort === undefined ? stored.nodePort : choice.nodePort,
    resolve: choice.resolve ?? stored.resolve,
    serverCa: choice.serverCa === undefined ? stored.serverCa : choice.serverCa,
    proxy: choice.proxy === undefined ? stored.proxy : (choice.proxy?.href ?? null),
  }
}

/** A stored route as it may be shown: without the text of the CA, and without the proxy's credentials. */
export interface ShownRoute {
  readonly nodePort: number | null
  readonly resolve: readonly string[]
  /** Whether the certificates of a CA file are stored. */
  readonly caFile: boolean
  readonly proxy: string | null
}

export function showRoute({ nodePort, resolve, serverCa, proxy }: StoredRoute): ShownRoute {
  const url = proxy === null ? undefined : parseProxyUrl(proxy)
  return {
    nodePort,
    resolve: resolve.map(formatResolveRule),
    caFile: serverCa !== null,
    proxy: url === undefined ? null : showProxy(url),
  }
}

const defaultConnections = 8

/** The route to a Connector Service: without a client certificate, and to no gateway. */
export function connectorRoute(choice: RouteChoice, stored: StoredRoute = nothingStored): Route {
  const { nodePort, resolve, serverCa } = completeRoute(choice, stored)
  const { rootFiles, systemRootFiles } = choice.environment
  return {
    nodePort,
    gatewayHost: null,
    clientCertificate: null,
    certificateHosts: [],
    resolve,
    trust: { ca: serverCa, caOnly: false, rootFiles, systemRootFiles, insecure: choice.insecure },
    proxy: proxySettings(choice, stored),
    timeoutMs: choice.timeoutMs,
    connections: choice.connections ?? defaultConnections,
  }
}

/** The route to an identity's gateway. The certificate is presented to the gateway fixed at pairing, and to hosts the user agreed to. */
export function gatewayRoute(choice: RouteChoice, { metadata, material }: Identity): Route {
  const { gatewayHost, acceptedHosts } = metadata
  return {
    ...connectorRoute(choice, metadata.route),
    gatewayHost,
    clientCertificate: { chain: material.chain, key: material.key },
    certificateHosts: gatewayHost === null ? acceptedHosts : [gatewayHost, ...acceptedHosts],
  }
}

/** A flag takes precedence over the variable, and the variable over the stored proxy. */
function proxySettings({ proxy, environment }: RouteChoice, stored: StoredRoute): ProxySettings {
  const fromStore = stored.proxy === null ? null : (parseProxyUrl(stored.proxy) ?? null)
  return {
    url: proxy === undefined ? (environment.proxy ?? fromStore) : proxy,
    except: environment.noProxy,
  }
}
