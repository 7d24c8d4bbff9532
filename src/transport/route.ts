import { isIP } from 'node:net'

/** One of curl's `--resolve` rules: for this host and port, connect to that address; name and SNI stay. */
export interface ResolveRule {
  /** Lower case; `*.suffix` matches every name below the suffix. */
  readonly host: string
  /** null: any port. */
  readonly port: number | null
  /** IPv4 or IPv6, without brackets. */
  readonly address: string
}

/** Whom to believe. */
export interface Trust {
  /** PEM certificates believed beside the usual roots. */
  readonly ca: string | null
  /** PEM files whose certificates are believed too (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS); unreadable ones are passed over. */
  readonly rootFiles: readonly string[]
  /** Believe anybody. Never stored. */
  readonly insecure: boolean
}

/** What is presented to the gateway, and to no other host. */
export interface ClientCertificate {
  /** PEM: leaf, then intermediates. */
  readonly chain: string
  /** PEM, PKCS#8. */
  readonly key: string
}

/** How a URL is reached: all that transport knows of an identity. A renewed certificate is a new Route. */
export interface Route {
  /** Put into every URL of the gateway and no other; null where the gateway listens on the port its URLs name. */
  readonly nodePort: number | null
  /** Host name of the mutual-TLS gateway; null as long as it is not known. */
  readonly gatewayHost: string | null
  readonly resolve: readonly ResolveRule[]
  readonly trust: Trust
  readonly clientCertificate: ClientCertificate | null
  /** Milliseconds: for connecting, and for a whole answer that is parsed. */
  readonly timeoutMs: number
}

/** Where a URL leads to on a route. */
export interface Target {
  /** The URL as it is called: with the NodePort where one belongs. */
  readonly url: URL
  /** What the socket is opened to: an address from a rule, else the host name. */
  readonly address: string
  readonly port: number
  /** For SNI and the check of the server's certificate; empty for an IP address (RFC 6066, section 3). */
  readonly serverName: string
}

/** The one place where a URL becomes what is called (docs/contract.md §0 and §12, traps 8 and 14). */
export function locate(route: Route, url: URL): Target {
  const called = new URL(url)
  if (route.nodePort !== null && called.hostname === route.gatewayHost) called.port = String(route.nodePort)
  const host = called.hostname.replace(/^\[|\]$/g, '')
  const port = called.port === '' ? 443 : Number(called.port)
  const rule = route.resolve.find((candidate) => matches(candidate, host, port))
  return { url: called, address: rule?.address ?? host, port, serverName: isIP(host) === 0 ? host : '' }
}

function matches(rule: ResolveRule, host: string, port: number): boolean {
  if (rule.port !== null && rule.port !== port) return false
  return rule.host.startsWith('*.') ? host.endsWith(rule.host.slice(1)) : host === rule.host
}

/** Reads `host:port:address`; undefined when it is no such rule. IPv6 addresses stand in brackets. */
export function parseResolveRule(text: string): ResolveRule | undefined {
  const [, host, port, bracketed, plain] =
    /^([^:\s[\]]+|\[[0-9A-Fa-f:.]+\]):(\*|\d{1,5}):(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))$/.exec(text.trim()) ?? []
  const address = bracketed ?? plain
  if (host === undefined || port === undefined || address === undefined) return undefined
  if (isIP(address) !== (bracketed === undefined ? 4 : 6)) return undefined
  if (host.includes('*') && !/^\*\.[^*]+$/.test(host)) return undefined
  const portNumber = port === '*' ? null : Number(port)
  if (portNumber !== null && (portNumber < 1 || portNumber > 65535)) return undefined
  return { host: host.replace(/^\[|\]$/g, '').toLowerCase(), port: portNumber, address }
}

/** The text {@link parseResolveRule} reads back. */
export function formatResolveRule({ host, port, address }: ResolveRule): string {
  const bracket = (name: string): string => (isIP(name) === 6 ? `[${name}]` : name)
  return `${bracket(host)}:${port ?? '*'}:${bracket(address)}`
}
