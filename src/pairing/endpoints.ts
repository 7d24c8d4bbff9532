import { fetchManagementInfo } from '../connector/management-info.js'
import { IdentityUnusableError, KyconnectError } from '../errors.js'
import type { IdentityGateway } from '../gateway/gateway.js'
import type { Identity, Metadata, Urls } from '../identity/identity.js'
import type { IdentityStore } from '../identity/store.js'
import type { Emit } from '../progress.js'

export interface EndpointsPolicy {
  /** Whether URLs of other hosts than the gateway fixed at pairing may be stored and called. */
  readonly acceptHosts: (hosts: readonly string[]) => Promise<boolean>
}

/**
 * Asks the gateway for the App's URLs and merges them into the metadata. URLs of a host that was not agreed to are left out; the ones
 * known before stay.
 * @throws what the transport throws; ClientCertificateRefusedError; IdentityUnusableError when no URL of the management info is known
 */
export async function learnEndpoints(
  metadata: Metadata,
  { client }: IdentityGateway,
  policy: EndpointsPolicy,
  emit: Emit,
): Promise<Metadata> {
  const infoUrl = metadata.urls['infoUrl']
  if (infoUrl === undefined) {
    throw new IdentityUnusableError(`the identity "${metadata.profile}" has no URL for the management info`, {
      hints: ['the Connector that signed it named none: ask the administrator of the cluster for the URLs'],
    })
  }
  const { urls, application } = await fetchManagementInfo(client, new URL(infoUrl))
  if (application !== undefined && application !== metadata.commonName && application !== metadata.app)
    emit({ type: 'warning', warning: 'app-differs', app: metadata.app, answered: application })
  const learned: Urls = { infoUrl, ...urls }
  const known = new Set([metadata.gatewayHost, ...metadata.acceptedHosts])
  const foreign = [...new Set(Object.values(urls).map((text) => new URL(text).hostname))].filter(
    (host) => !known.has(host),
  )
  if (foreign.length === 0) return { ...metadata, urls: learned }
  if (await policy.acceptHosts(foreign))
    return { ...metadata, urls: learned, acceptedHosts: [...metadata.acceptedHosts, ...foreign] }
  emit({ type: 'warning', warning: 'foreign-hosts-ignored', hosts: foreign })
  const kept: Record<string, string> = {}
  for (const [name, text] of Object.entries(learned)) {
    const trusted = foreign.includes(new URL(text).hostname) ? metadata.urls[name] : text
    if (trusted !== undefined) kept[name] = trusted
  }
  return { ...metadata, urls: kept }
}

/**
 * Stores URLs that were learned. A failure (a read-only disk, a lock) is a warning: the caller has the answer that it asked for.
 * @param insecure nothing learned from a server that was not verified is stored
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
    const { problem } = await store.locked(before.profile, (change) =>
      change.amend((present) =>
        // Another process may have paired again in the meantime: these URLs are not that identity's.
        present.fingerprint === before.fingerprint
          ? { ...present, urls: learned.urls, acceptedHosts: learned.acceptedHosts }
          : present,
      ),
    )
    if (problem !== undefined) emit({ type: 'warning', warning: 'not-durable', cause: problem.message })
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    emit({ type: 'warning', warning: 'urls-not-stored', cause: error.message })
  }
}

function sameUrls(one: Urls, other: Urls): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].every((name) => one[name] === other[name])
}
