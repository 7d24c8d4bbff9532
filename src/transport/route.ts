import { isIP } from 'node:net'
import { type ProxySettings, proxyFor } from './proxy.js'

/** One of curl's `--resolve` rules: for this host and port, connect to that address; the name and the SNI stay the same. */
export interface ResolveRule {
  /** Lower case; `*.suffix` matches every name below the suffix. */
  readonly host: string
  /** null: any port. */
  readonly port: number | null
  /** IPv4 or IPv6, without brackets. */
  readonly address: string
}

/** Which servers are trusted. */
export interface Trust {
  /** PEM certificates that are trusted in addition to the usual roots, or with `caOnly` instead of them. */
  readonly ca: string | null
  readonly caOnly: boolean
  /** PEM files whose certificates are trusted too (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS); unreadable ones are skipped. */
  readonly rootFiles: readonly string[]
  /** Where platforms keep their bundle of roots; the first that exists is read if Node itself cannot read the system's store. */
  readonly systemRootFiles: readonly string[]
  /** Trust every server. Never stored. */
  readonly insecure: boolean
}

/** The certificate that is presented to `certificateHosts`. */
export interface ClientCertificate {
  /** PEM: leaf, then intermediates. */
  readonly chain: string
  /** PEM. */
  readonly key: string
}

/** How URLs are reached: all that the transport knows about an identity. A renewed certificate needs a new Route. */
export interface Route {
  /** Replaces the port in the gateway's URLs, and in no other; null where the gateway listens on the port in its URLs. */
  readonly nodePort: number | null
  /** Host name of the mutual-TLS gateway; null until it is known. */
  readonly gatewayHost: string | null
  readonly clientCertificate: ClientCertificate | null
  /** The hosts that the client certificate is presented to; IPv6 addresses with or without brackets. */
  readonly certificateHosts: readonly string[]
  readonly resolve: readonly ResolveRule[]
  readonly trust: Trust
  /** The name that the server's certificate must be for, instead of the URL's host; undefined: the URL's host. */
  readonly serverName?: string
  readonly proxy: ProxySettings
  /** Milliseconds: for connecting, and for an answer that is read completely. */
  readonly timeoutMs: number
  /** Connections to one origin at a time. */
  readonly connections: number
}

/** Where a URL leads to on a route. */
export interface Target {
  /** The URL as it is called: with the NodePort where it applies. */
  readonly url: URL
  /** The address to connect to: that of a resolve rule, or the host name. */
  readonly address: string
  readonly port: number
  /** For SNI; empty for an IP address (RFC 6066, section 3). */
  readonly serverName: string
  /** The name or address that the server's certificate must be for. */
  readonly expectedName: string
  /** The proxy in between; null: none. */
  readonly proxy: URL | null
}

/** Decides what is called for a URL; nothing else does (docs/contract.md §0 and §12, traps 8 and 14). */
export function resolveTarget(route: Route, url: URL): Target {
  const called = new URL(url)
  if (route.nodePort !== null && called.hostname === route.gatewayHost) called.port = String(route.nodePort)
  const host = withoutBrackets(called.hostname)
  const port = portOf(called)
  const rule = route.resolve.find((candidate) => matches(candidate, host, port))
  const expectedName = route.serverName ?? host
  return {
    url: called,
    address: rule?.address ?? host,
    port,
    serverName: isIP(expectedName) === 0 ? expectedName : '',
    expectedName,
    proxy: proxyFor(route.proxy, host, port),
  }
}

/** The port of an https URL, even if the URL leaves it out. */
export function portOf(url: URL): number {
  return url.port === '' ? 443 : Number(url.port)
}

/** The host of a URL, an IPv6 address without the brackets. */
export function withoutBrackets(hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
}

function matches(rule: ResolveRule, host: string, port: number): boolean {
  if (rule.port !== null && rule.port !== port) return false
  return rule.host.startsWith('*.') ? host.endsWith(rule.host.slice(1)) : host === rule.host
}

/** Reads `host:port:address`; undefined when it is not such a rule. IPv6 addresses are in brackets. */
export function parseResolveRule(text: string): ResolveRule | undefined {
  const [, host, port, bracketed, plain] =
    /^([^:\s[\]]+|\[[0-9A-Fa-f:.]+\]):(\*|\d{1,5}):(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))$/.exec(text.trim()) ?? []
  const address = bracketed ?? plain
  if (host === undefined || port === undefined || address === undefined) return undefined
  if (bracketed === undefined ? !isIPv4(address) : isIP(address) !== 6) return undefined
  if (host.includes('*') && !/^\*\.[^*]+$/.test(host)) return undefined
  const portNumber = port === '*' ? null : Number(port)
  if (portNumber !== null && (portNumber < 1 || portNumber > 65535)) return undefined
  return { host: withoutBrackets(host).toLowerCase(), port: portNumber, address }
}

/** As node:net's, which is not loaded for it: a list of all identities parses many rules, and needs no sockets. */
function isIPv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

/** The text that {@link parseResolveRule} reads back. */
export function formatResolveRule({ host, port, address }: ResolveRule): string {
  const bracket = (name: string): string => (isIP(name) === 6 ? `[${name}]` : name)
  return `${bracket(host)}:${port ?? '*'}:${bracket(address)}`
}
