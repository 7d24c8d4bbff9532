import { fetchManagementInfo, type ManagementInfo } from '../connector/management-info.js'
import { IdentityUnusableError, KyconnectError } from '../errors.js'
import type { IdentityGateway } from '../gateway/gateway.js'
import type { Identity, Metadata, Urls } from '../identity/identity.js'
import { warnIfNotDurable } from '../identity/not-durable.js'
import type { IdentityStore } from '../identity/store.js'
import type { Emit } from '../progress.js'

export interface EndpointsPolicy {
  /** Whether URLs on hosts other than the gateway fixed at pairing may be stored and called. */
  readonly acceptHosts: (hosts: readonly string[]) => Promise<boolean>
}

/** Leaves out URLs on other hosts without a question. */
export const noOtherHosts: EndpointsPolicy = { acceptHosts: () => Promise.resolve(false) }

/**
 * The URL of the management info, if it is behind the gateway. Releases before 1.0 name none, or one on the Connector's own host, where a
 * client certificate must not be presented (docs/contract.md §6).
 */
export function managementInfoUrl({ urls, connectorHost }: Pick<Metadata, 'urls' | 'connectorHost'>): URL | undefined {
  const text = urls['infoUrl']
  const url = text === undefined ? undefined : new URL(text)
  return url?.hostname === connectorHost ? undefined : url
}

/** What the gateway answered, and the metadata with the URLs in it. */
export interface LearnedEndpoints {
  readonly metadata: Metadata
  readonly info: ManagementInfo
}

/**
 * Asks the gateway for the App's URLs and merges them into the metadata. URLs on a host that the user did not agree to are
 * left out; the URLs known before are kept.
 * @throws what the transport throws; ClientCertificateRefusedError; IdentityUnusableError when no URL of the management info is known
 */
export async function learnEndpoints(
  metadata: Metadata,
  { client }: IdentityGateway,
  policy: EndpointsPolicy,
  emit: Emit,
): Promise<LearnedEndpoints> {
  const url = managementInfoUrl(metadata)
  if (url === undefined) {
    throw new IdentityUnusableError(`the identity "${metadata.profile}" has no URL for the management info`, {
      hints: [
        'ask the administrator of the cluster for the URLs: the Connector that signed the certificate did not name this one',
      ],
    })
  }
  const info = await fetchManagementInfo(client, url)
  const { urls, application } = info
  if (application !== undefined && application !== metadata.commonName && application !== metadata.app)
    emit({ type: 'warning', warning: 'app-differs', app: metadata.app, answered: application })
  const learned: Urls = { infoUrl: url.href, ...urls }
  const known = new Set([metadata.gatewayHost, ...metadata.acceptedHosts])
  const foreign = [...new Set(Object.values(urls).map((text) => new URL(text).hostname))].filter(
    (host) => !known.has(host),
  )
  if (foreign.length === 0) return { metadata: { ...metadata, urls: learned }, info }
  if (await policy.acceptHosts(foreign))
    return {
      metadata: { ...metadata, urls: learned, acceptedHosts: [...metadata.acceptedHosts, ...foreign] },
      info,
    }
  emit({ type: 'warning', warning: 'foreign-hosts-ignored', hosts: foreign })
  const kept: Record<string, string> = {}
  for (const [name, text] of Object.entries(learned)) {
    const trusted = foreign.includes(new URL(text).hostname) ? metadata.urls[name] : text
    if (trusted !== undefined) kept[name] = trusted
  }
  return { metadata: { ...metadata, urls: kept }, info }
}

/**
 * Stores learned URLs. A failure (a read-only disk, a lock) is only a warning, because the caller already has the answer.
 * @param insecure whether the server was not verified: then nothing is stored
 */
export async function storeEndpoints(
  store: IdentityStore,
  { metadata: before }: Identity,
  learned: Metadata,
  insecure: boolean,
  emit: Emit,
): Promise<void> {
  if (sameUrls(learned.urls, before.urls)) return
  if (insecure) {
    emit({ type: 'warning', warning: 'urls-not-stored', cause: undefined })
    return
  }
  try {
    const written = await store.locked(before.profile, (change) =>
      change.amend((present) =>
        // Another process may have paired again in the meantime: these URLs do not belong to that identity.
        present.fingerprint === before.fingerprint
          ? { ...present, urls: learned.urls, acceptedHosts: learned.acceptedHosts }
          : present,
      ),
    )
    warnIfNotDurable(written, emit)
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    emit({ type: 'warning', warning: 'urls-not-stored', cause: error.message })
  }
}

function sameUrls(one: Urls, other: Urls): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].every((name) => one[name] === other[name])
}
