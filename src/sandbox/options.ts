import type { Subscription } from './events/events.js'
import type { ListenerLimits } from './http/listener.js'
import type { KubernetesOptions } from './kubernetes/kubernetes.js'
import { isSubdomain } from './kubernetes/subdomain.js'

export interface SandboxOptions extends KubernetesOptions {
  /**
   * Apps that exist from the start, beside those that are created through the Kubernetes API. Any other App can be paired, but its own
   * paths are answered with 404 (docs/contract.md §1).
   */
  readonly apps: readonly string[]
  /** The domain of the cluster, such as kyma.local: the hosts are connector-service.<domain> and gateway.<domain>. */
  readonly domain: string
  /** Ports on 127.0.0.1; 0 is any free one. */
  readonly connectorPort: number
  readonly gatewayPort: number
  readonly internalPort: number
  /** Any free one by default. */
  readonly kubernetesPort?: number
  /**
   * Also serves the services behind the gateway as plain HTTP on this port (0: any free one), for a proxy that replaces the gateway: TLS,
   * client certificates, body limits, and the headers Client-Certificate-Subject and Client-Certificate are then up to it.
   */
  readonly servicesPort?: number
  /** Kyma's tokens live 300 s. */
  readonly tokenTtlSeconds: number
  /** How long a client certificate is valid; Kyma's are valid for 92 days. */
  readonly validitySeconds: number
  /** Central mode: tokens are for a tenant and a group, and certificates name them (docs/contract.md §2, §4). */
  readonly central?: boolean
  /** The events that count as published, the others being ignored; undefined: all are published. */
  readonly subscriptions?: readonly Subscription[]
  /** Lists the subscriptions at `…/events/subscribed`, as releases from 1.1 on do (docs/contract.md §10). */
  readonly listsSubscriptions?: boolean
  /** The folder for CAs, services, revocations and the cluster's objects; without it they are lost when the process ends. */
  readonly stateDirectory?: string
  /** Receives a line per request, without tokens. */
  readonly log?: (line: string) => void
  readonly now?: () => Date
  /** Limits for slow clients; for tests. */
  readonly limits?: Partial<ListenerLimits>
}

/** An option has an unusable value; the message says which and why. */
export class SandboxOptionError extends Error {}

const LABEL = /^[a-z0-9-]{1,63}$/i
/** `gateway.<domain>` and `connector-service.<domain>` must be valid DNS names. */
const MAX_DOMAIN_LENGTH = 253 - 'connector-service.'.length
const VERBS: readonly string[] = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', '*']
/** Kubernetes limits the name of an Application to this. */
const MAX_APP_LENGTH = 253
const MAX_PORT = 65535

/** @throws SandboxOptionError */
export function checkOptions(options: SandboxOptions): void {
  checkDomain(options.domain)
  options.apps.forEach(checkApp)
  const { delaySeconds = 0, failures = 0 } = options.controller ?? {}
  const counts = { delaySeconds, failures, dropWatches: options.dropWatches ?? 0 }
  for (const [name, value] of Object.entries(counts)) {
    if (!(value >= 0)) throw new SandboxOptionError(`${name} must be a number, at least 0`)
  }
  for (const { verb, resource } of options.deny ?? []) {
    if (!VERBS.includes(verb) || resource === '') {
      const problem = `"${verb}:${resource}" cannot be denied`
      throw new SandboxOptionError(`${problem}: expected a verb (${VERBS.join(', ')}), a colon and a resource`)
    }
  }
  options.subscriptions?.forEach(checkSubscription)
  checkTimes(options)
  const { connectorPort, gatewayPort, internalPort, kubernetesPort = 0, servicesPort = 0 } = options
  const ports = { connectorPort, gatewayPort, internalPort, kubernetesPort, servicesPort }
  for (const [name, value] of Object.entries(ports)) {
    if (!Number.isInteger(value) || value < 0 || value > MAX_PORT)
      throw new SandboxOptionError(`${name} must be a port, 0 to ${MAX_PORT}`)
  }
}

function checkDomain(domain: string): void {
  const labels = domain.split('.')
  const areLabels = labels.every((label) => LABEL.test(label) && !label.startsWith('-') && !label.endsWith('-'))
  if (!areLabels || domain.length > MAX_DOMAIN_LENGTH)
    throw new SandboxOptionError(`"${domain}" is not a domain: expected DNS labels joined by dots, such as kyma.local`)
  if (/^\d+$/.test(labels.at(-1) ?? ''))
    throw new SandboxOptionError(`"${domain}" is not a domain: a name that ends in a number is read as an address`)
}

/** An App is an Application of the cluster, so it has a name that Kubernetes accepts (RFC 1123). */
function checkApp(app: string): void {
  if (app.length <= MAX_APP_LENGTH && isSubdomain(app)) return
  throw new SandboxOptionError(
    `${JSON.stringify(app.slice(0, 100))} is not a name for an App: expected lower-case letters, digits, dashes and dots, each part between dots beginning and ending with a letter or a digit (RFC 1123)`,
  )
}

/** The forms are the bus's (docs/contract.md §10): no event of another form could be published. */
function checkSubscription({ type, version }: Subscription): void {
  if (type.length <= 253 && isSubdomain(type) && /^[a-z0-9]{1,4}$/.test(version)) return
  throw new SandboxOptionError(
    `"${type}:${version}" is not an event type and version: expected lower-case letters, digits, dashes and dots, a colon, and up to 4 lower-case letters and digits, such as order.created:v1`,
  )
}

function checkTimes({ tokenTtlSeconds, validitySeconds, now = () => new Date() }: SandboxOptions): void {
  for (const [name, value] of Object.entries({ tokenTtlSeconds, validitySeconds })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new SandboxOptionError(`${name} must be a whole number of seconds, at least 1`)
  }
  // A certificate has four digits for the year (RFC 5280 §4.1.2.5.2).
  if (!(now().getTime() + validitySeconds * 1000 < Date.UTC(9999, 11, 31)))
    throw new SandboxOptionError('validitySeconds is too large: a certificate ends before the year 10000')
}
