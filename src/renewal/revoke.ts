import { requestRevocation } from '../connector/revocation.js'
import {
  AnswerMalformedError,
  CertificateExpiredError,
  IdentityUnusableError,
  KyconnectError,
  NetworkError,
  RequestRefusedError,
  ServiceFailedError,
  TimeoutError,
  UntrustedUrlError,
} from '../errors.js'
import { IdentityGateway } from '../gateway/gateway.js'
import { type Identity, isoSeconds, type Metadata } from '../identity/identity.js'
import { warnIfNotDurable } from '../identity/not-durable.js'
import { pairAgain } from '../identity/pair-again.js'
import { checkSameApp } from '../identity/same-app.js'
import type { ProfileChange } from '../identity/store.js'
import { learnEndpoints, noOtherHosts } from '../pairing/endpoints.js'
import type { PairDeps } from '../pairing/policy.js'
import { lockPatienceMs } from './renew.js'

/** A certificate that the Connector has revoked. */
export interface Revocation {
  /** As it is stored now. */
  readonly metadata: Metadata
  /** When an earlier revocation was recorded; undefined: this is the first. */
  readonly revokedBefore: Date | undefined
  /** What `rollback` would restore: another certificate of the App, which still works and was not revoked. */
  readonly unrevoked: Metadata | undefined
}

/**
 * Revokes the certificate of an identity, and marks it. It works until it expires, and only its renewal is refused (docs/contract.md §8).
 * A certificate that is already marked is revoked again: the mark may be a mistake, and revoking twice does no harm.
 * @param before the identity that the user agreed to revoke; another process may have renewed it since then
 * @throws CertificateExpiredError before any request; IdentityUnusableError when no URL is known; LockHeldError;
 *   ClientCertificateRefusedError, RequestRefusedError, and what the transport and the store throw
 */
export async function revokeIdentity({ metadata: before }: Identity, deps: PairDeps): Promise<Revocation> {
  const { store, now } = deps
  const { profile } = before
  checkRevocable(before, now())
  return store.locked(
    profile,
    async (change) => {
      const present = await store.load(profile)
      checkSameApp(before, present.metadata, `look at it before you revoke its certificate: kyconnect info ${profile}`)
      checkRevocable(present.metadata, now())
      return revokeLocked(present, change, deps)
    },
    lockPatienceMs,
  )
}

/** The gateway refuses an expired certificate, so no request is sent with one. */
export function checkRevocable({ profile, notAfter }: Metadata, now: Date): void {
  if (notAfter > now) return
  throw new CertificateExpiredError(
    `the certificate of "${profile}" expired on ${isoSeconds(notAfter)}: no service accepts it, so there is nothing to revoke`,
    {
      hints: [`delete it from this machine: kyconnect remove ${profile}`, pairAgain(profile)],
      details: { profile },
    },
  )
}

async function revokeLocked(present: Identity, change: ProfileChange, deps: PairDeps): Promise<Revocation> {
  const { choice, transport, now, emit } = deps
  const { profile, notAfter, revokedAt } = present.metadata
  const gateway = new IdentityGateway(present, choice, transport, now)
  try {
    if (revokedAt !== null) emit({ type: 'notice', notice: 'revoked-before', profile, since: revokedAt })
    const url = await revocationUrl(present.metadata, gateway, deps)
    emit({ type: 'started', step: 'revocation' })
    await requestRevocation(gateway.client, url).catch((error: unknown) => {
      throw afterRequest(error, profile)
    })
    // This is after the point of no return: a revocation cannot be undone.
    emit({ type: 'finished', step: 'revocation', notAfter })
  } catch (error) {
    throw gateway.explain(error)
  } finally {
    await gateway.close()
  }
  const metadata = revokedAt === null ? await mark(change, deps, profile) : present.metadata
  return { metadata, revokedBefore: revokedAt ?? undefined, unrevoked: await unrevokedBefore(change, now()) }
}

async function mark(change: ProfileChange, { now, emit }: PairDeps, profile: string): Promise<Metadata> {
  try {
    const written = await change.amend((metadata) => ({ ...metadata, revokedAt: now() }))
    warnIfNotDurable(written, emit)
    return written.value
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    throw error.addHint(
      `the certificate is revoked, but not marked; to mark it, run it again: ${revokeCommand(profile)}`,
    )
  }
}

/** The URL as the gateway names it now, or the stored one when the management info cannot be read. */
async function revocationUrl(stored: Metadata, gateway: IdentityGateway, { emit }: PairDeps): Promise<URL> {
  let urls = stored.urls
  try {
    emit({ type: 'started', step: 'management-info' })
    const { metadata } = await learnEndpoints(stored, gateway, noOtherHosts, emit)
    emit({ type: 'finished', step: 'management-info', urlCount: Object.keys(metadata.urls).length })
    urls = { ...urls, ...metadata.urls }
  } catch (error) {
    if (stored.urls['revokeCertUrl'] === undefined || !isUnusableAnswer(error)) throw error
    emit({ type: 'warning', warning: 'stored-url-used', cause: error.message })
  }
  const { revokeCertUrl } = urls
  if (revokeCertUrl !== undefined) return new URL(revokeCertUrl)
  throw new IdentityUnusableError(`the gateway names no URL for revoking the certificate of "${stored.profile}"`, {
    hints: ['ask the administrator of the cluster to revoke it'],
    details: { profile: stored.profile },
  })
}

/** Whether the service answered, but with nothing usable. After any other failure, the revocation would fail too. */
function isUnusableAnswer(error: unknown): error is KyconnectError {
  return [AnswerMalformedError, IdentityUnusableError, RequestRefusedError, ServiceFailedError, UntrustedUrlError].some(
    (known) => error instanceof known,
  )
}

/** A request without an answer may have been carried out. */
function afterRequest(error: unknown, profile: string): unknown {
  const isLost =
    error instanceof ServiceFailedError ||
    ((error instanceof NetworkError || error instanceof TimeoutError) && error.requestSent)
  if (!isLost) return error
  return error.addHint(
    `the certificate may or may not be revoked, and is not marked; revoking twice does no harm, so run it again: ${revokeCommand(profile)}`,
  )
}

function revokeCommand(profile: string): string {
  return `kyconnect revoke ${profile}`
}

/** The identity before this one, unless its certificate has expired or been revoked. */
async function unrevokedBefore(change: ProfileChange, now: Date): Promise<Metadata | undefined> {
  const previous = await change.previous().catch((error: unknown) => {
    if (error instanceof KyconnectError) return undefined
    throw error
  })
  if (previous === undefined) return undefined
  const { metadata } = previous
  return metadata.notAfter > now && metadata.revokedAt === null ? metadata : undefined
}
