import { fetchManagementInfo } from '../connector/management-info.js'
import { IdentityUnusableError, KyconnectError } from '../errors.js'
import type { Identity, Metadata, Urls } from '../identity/identity.js'
import { gatewayRoute, type RouteChoice } from '../identity/route.js'
import type { IdentityStore } from '../identity/store.js'
import type { Emit } from '../progress.js'
import { HttpClient, type TransportDeps } from '../transport/client.js'

export interface EndpointsPolicy {
  /** Whether URLs of other hosts than the gateway fixed at pairing may be stored and called. */
  readonly acceptHosts: (hosts: readonly string[]) => Promise<boolean>
  /** Whether what is learned may be stored: not by a command that does not know whom it talks to. */
  readonly store: boolean
}

/**
 * Asks the gateway for the App's URLs and merges them into the metadata. URLs of a host that was not agreed to are left
 * out: the ones known before stay.
 * @throws what the transport throws; ClientCertificateRefusedError
 */
export async function learnEndpoints(
  identity: Identity,
  choice: RouteChoice,
  policy: EndpointsPolicy,
  transport: TransportDeps,
  emit: Emit,
): Promise<Metadata> {
  const { metadata } = identity
  const infoUrl = metadata.urls['infoUrl']
  if (infoUrl === undefined) {
    throw new IdentityUnusableError(`the identity "${metadata.profile}" has no URL for the management info`)
  }
  const url = new URL(infoUrl)
  const http = new HttpClient(gatewayRoute(identity, choice, url), transport)
  try {
    const { urls, application } = await fetchManagementInfo(http, url)
    if (application !== undefined && application !== metadata.commonName && application !== metadata.app) {
      emit({ type: 'warning', warning: 'app-differs', app: metadata.app, answered: application })
    }
    const learned: Urls = { infoUrl, ...urls }
    const known = new Set([metadata.gatewayHost, ...metadata.acceptedHosts])
    const foreign = [...new Set(Object.values(urls).map((text) => new URL(text).hostname))].filter(
      (host) => !known.has(host),
    )
    if (foreign.length === 0) return { ...metadata, urls: learned }
    if (await policy.acceptHosts(foreign)) {
      return { ...metadata, urls: learned, acceptedHosts: [...metadata.acceptedHosts, ...foreign] }
    }
    emit({ type: 'warning', warning: 'foreign-hosts-ignored', hosts: foreign })
    const kept: Record<string, string> = {}
    for (const [name, text] of Object.entries(learned)) {
      const trusted = foreign.includes(new URL(text).hostname) ? metadata.urls[name] : text
      if (trusted !== undefined) kept[name] = trusted
    }
    return { ...metadata, urls: kept }
  } finally {
    await http.close()
  }
}

/**
 * Asks for the URLs and stores new ones. That storing fails (a read-only disk, a lock) is a warning: the answer is what was
 * asked for.
 */
export async function refreshEndpoints(
  store: IdentityStore,
  identity: Identity,
  choice: RouteChoice,
  policy: EndpointsPolicy,
  transport: TransportDeps,
  emit: Emit,
): Promise<Identity> {
  const metadata = await learnEndpoints(identity, choice, policy, transport, emit)
  if (sameUrls(metadata.urls, identity.metadata.urls)) return identity
  if (!policy.store) {
    emit({ type: 'warning', warning: 'urls-not-stored', cause: undefined })
    return { ...identity, metadata }
  }
  try {
    const lock = await store.lock(metadata.profile)
    try {
      const present = await store.load(metadata.profile)
      // Somebody else may have paired anew in the meantime: these URLs are not that identity's.
      if (present.metadata.fingerprint === metadata.fingerprint) await store.update(present, metadata)
    } finally {
      await lock.release()
    }
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    emit({ type: 'warning', warning: 'urls-not-stored', cause: error.message })
  }
  return { ...identity, metadata }
}

function sameUrls(one: Urls, other: Urls): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].every((name) => one[name] === other[name])
}
