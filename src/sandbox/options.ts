import type { KubernetesOptions } from './kubernetes/kubernetes.js'

export interface SandboxOptions extends KubernetesOptions {
  /** Apps that the gateway knows, beside those that are made through the Kubernetes API. Any other can be paired, but its own paths are a 404 (contract §1). */
  readonly apps: readonly string[]
  /** Such as kyma.local: the hosts are connector-service.<domain> and gateway.<domain>. */
  readonly domain: string
  /** Ports on 127.0.0.1; 0 is any free one. */
  readonly connectorPort: number
  readonly gatewayPort: number
  readonly internalPort: number
  /** Any free one by default. */
  readonly kubernetesPort?: number
  /**
   * Also serves what lies behind the gateway as plain HTTP on this port (0: any free one), for a proxy that does the gateway's part:
   * TLS, client certificates, body limits, and the headers Client-Certificate-Subject and Client-Certificate. For tests.
   */
  readonly servicesPort?: number
  /** Seconds that a token lives; Kyma's is 300. */
  readonly tokenTtlSeconds: number
  /** Seconds that a client certificate is valid; Kyma's are 92 days. */
  readonly validitySeconds: number
  /** Where CAs, services, revocations and the cluster's objects are kept (0700, files 0600); without it they go with the process. */
  readonly stateDirectory?: string
  /** Gets a line for each request, tokens blotted out. */
  readonly log?: (line: string) => void
  readonly now?: () => Date
}

/** An option is not usable; the message says which and why. */
export class SandboxOptionError extends Error {}

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i
/** `gateway.<domain>` and `connector-service.<domain>` have to fit into a DNS name. */
const MAX_DOMAIN = 253 - 'connector-service.'.length
/** Of the Kubernetes API. */
const VERBS: readonly string[] = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', '*']
/** What can stand in a path and in a CN as it is. */
const APP = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/

export function checkOptions(options: SandboxOptions): void {
  const labels = options.domain.split('.')
  if (!labels.every((label) => LABEL.test(label)) || options.domain.length > MAX_DOMAIN) {
    throw new SandboxOptionError(
      `"${options.domain}" is no domain: it takes DNS labels joined by dots, such as kyma.local`,
    )
  }
  if (/^\d+$/.test(labels.at(-1) ?? '')) {
    throw new SandboxOptionError(`"${options.domain}" is no domain: what ends in a number is taken for an address`)
  }
  for (const app of options.apps) {
    if (!APP.test(app)) {
      throw new SandboxOptionError(
        `"${app}" is no name for an App: it takes 1 to 64 letters, digits, dots, dashes and underscores`,
      )
    }
  }
  const { delaySeconds = 0, failures = 0 } = options.controller ?? {}
  const counts = { delaySeconds, failures, dropWatches: options.dropWatches ?? 0 }
  for (const [name, value] of Object.entries(counts)) {
    if (!(value >= 0)) throw new SandboxOptionError(`${name} must be a number, at least 0`)
  }
  for (const { verb, resource } of options.deny ?? []) {
    if (!VERBS.includes(verb) || resource === '') {
      throw new SandboxOptionError(
        `"${verb}:${resource}" is nothing to deny: it takes a verb (${VERBS.join(', ')}), a colon and a resource`,
      )
    }
  }
  const positive = { tokenTtlSeconds: options.tokenTtlSeconds, validitySeconds: options.validitySeconds }
  for (const [name, value] of Object.entries(positive)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new SandboxOptionError(`${name} must be a whole number of seconds, at least 1`)
  }
  const ends = new Date((options.now ?? (() => new Date()))().getTime() + options.validitySeconds * 1000)
  // A certificate has four digits for the year (RFC 5280, 4.1.2.5.2).
  if (!(ends.getTime() < Date.UTC(9999, 11, 31)))
    throw new SandboxOptionError('validitySeconds is too long: a certificate ends before the year 10000')
  const { connectorPort, gatewayPort, internalPort, kubernetesPort = 0, servicesPort = 0 } = options
  for (const [name, value] of Object.entries({
    connectorPort,
    gatewayPort,
    internalPort,
    kubernetesPort,
    servicesPort,
  })) {
    if (!Number.isInteger(value) || value < 0 || value > 65535)
      throw new SandboxOptionError(`${name} must be a port, 0 to 65535`)
  }
}
