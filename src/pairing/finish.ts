import { tokenRejected } from '../connector/csr-info.js'
import {
  AnswerLostError,
  AnswerMalformedError,
  CertificateUnverifiedError,
  FilesError,
  KyconnectError,
  TokenRejectedError,
} from '../errors.js'
import { IdentityGateway } from '../gateway/gateway.js'
import type { Identity, Metadata, Pending } from '../identity/identity.js'
import { warnIfNotDurable } from '../identity/not-durable.js'
import type { ProfileChange, Written } from '../identity/store.js'
import type { Answer } from '../transport/answer.js'
import type { HttpClient } from '../transport/client.js'
import { refusalError } from '../transport/refusal.js'
import { certify } from './certify.js'
import { learnEndpoints, managementInfoUrl } from './endpoints.js'
import { retryWhileRefused } from './fresh-certificate.js'
import type { PairDeps, PairPolicy } from './policy.js'

/** A pending pairing that is to become an identity. */
export interface Finishing {
  readonly pending: Pending
  /** Whether an earlier run may have sent the CSR. */
  readonly sentBefore: boolean
  /** The change to the profile under which it is pending. */
  readonly pendingChange: ProfileChange
  /** The change to the profile under which the identity will be stored; usually the same. */
  readonly change: ProfileChange
}

/** Milliseconds during which the gateway may refuse the new certificate. */
const patienceMs = 30_000
/** Milliseconds during which a token cannot have expired: it is valid for five minutes (docs/contract.md §4). */
const surelyAliveMs = 4.5 * 60_000

/** The command that continues a pending pairing. */
export function resumeCommand(profile: string): string {
  return `kyconnect pair --resume --profile ${profile}`
}

/** Turns a pending pairing, which is on disk, into a stored identity with its endpoints. */
export async function finishPairing(
  finishing: Finishing,
  policy: PairPolicy,
  deps: PairDeps,
  http: HttpClient,
): Promise<Identity> {
  const { change } = finishing
  const { emit, choice, transport, now } = deps
  const { profile } = finishing.pending
  emit({ type: 'started', step: 'certificate' })
  const replaced = await deps.store.has(profile)
  const written = await sign(finishing, deps, http)
  const identity = written.value
  const { metadata, directory } = identity
  emit({ type: 'finished', step: 'certificate', notAfter: metadata.notAfter, directory })
  warnIfNotDurable(written, emit)
  if (replaced) emit({ type: 'notice', notice: 'identity-replaced', profile })
  warnOfDates(metadata, deps)
  if (managementInfoUrl(metadata) === undefined) {
    emit({ type: 'warning', warning: 'no-management-info', app: metadata.app })
    return identity
  }
  if (!policy.verify) return identity

  emit({ type: 'started', step: 'management-info' })
  const gateway = new IdentityGateway(identity, choice, transport, now)
  try {
    const { metadata: learned } = await retryWhileRefused(patienceMs, deps, () =>
      learnEndpoints(metadata, gateway, policy, emit),
    )
    warnIfNotDurable(await change.amend(() => learned), emit)
    emit({ type: 'finished', step: 'management-info', urlCount: Object.keys(learned.urls).length })
    return { ...identity, metadata: learned }
  } catch (error) {
    const explained = gateway.explain(error)
    throw explained instanceof KyconnectError
      ? explained.addHint(
          `get its URLs, since the identity is stored${directory === undefined ? '' : ` in ${directory}`}: kyconnect info --profile ${profile}`,
        )
      : explained
  } finally {
    await gateway.close()
  }
}

/**
 * Has the CSR signed, and stores the identity. After a failure, a pending pairing whose token is consumed is deleted; any other is kept,
 * and the error says how to continue.
 */
async function sign(
  { pending, sentBefore, pendingChange, change }: Finishing,
  deps: PairDeps,
  http: HttpClient,
): Promise<Written<Identity>> {
  const { csrUrl, subject, key, profile, app, commonName, gatewayHost, connectorHost, urls, route, insecure } = pending
  const known = { profile, app, commonName, gatewayHost, connectorHost, urls, route, insecure }
  const now = deps.now()
  const about = {
    ...known,
    acceptedHosts: [],
    pairedAt: now,
    obtainedAt: now,
    revokedAt: null,
    rejectedAt: null,
    hookPending: await isHookPending(profile, deps),
  }
  const token = { consumed: false }
  try {
    const certified = await certify(http, { url: csrUrl, key, subject, about }, change, {
      onSigned: () => (token.consumed = true),
    })
    if (certified.outcome === 'refused') throw refusalOf(certified.answer, pending, sentBefore, deps.now())
    if (pendingChange !== change) await pendingChange.discard().catch(() => undefined)
    return certified.written
  } catch (error) {
    throw await afterFailure(error, token.consumed, pending.profile, pendingChange)
  }
}

/** Whether a command of `renew --exec` waits to be run again for the identity that is replaced: it needs to hear of the new one too. */
async function isHookPending(profile: string, { store }: PairDeps): Promise<boolean> {
  try {
    return (await store.load(profile)).metadata.hookPending
  } catch (error) {
    // None is stored yet, or it is damaged and this pairing replaces it.
    if (!(error instanceof KyconnectError)) throw error
    return false
  }
}

/** The error for a refused CSR, which says whether its token is consumed. */
function refusalOf(answer: Answer, { createdAt }: Pending, sentBefore: boolean, now: Date): KyconnectError {
  if (answer.status !== 403) return refusalError(answer, 'the certificate signing request')
  if (!sentBefore && answer.attempts === 1) return tokenRejected(answer)
  const alive = now.getTime() - createdAt.getTime() < surelyAliveMs
  const context = {
    hints: ['get a new token URL from the administrator, then run: kyconnect pair --url -'],
    details: { status: answer.status, host: answer.url.host, attempts: answer.attempts },
  }
  // The CSR was sent before, and its token cannot have expired yet: a 201 that did not arrive must have consumed it.
  return alive
    ? new AnswerLostError('the certificate was signed, but the answer was lost: the token is consumed', context)
    : new TokenRejectedError(
        'the one-time token was refused when the CSR was sent again: it is older than 5 minutes, or the first answer was lost',
        context,
      )
}

async function afterFailure(
  error: unknown,
  consumed: boolean,
  profile: string,
  pendingChange: ProfileChange,
): Promise<unknown> {
  if (consumed || error instanceof TokenRejectedError || error instanceof AnswerLostError) {
    // Report the error that ended the pairing, not one from cleaning up.
    await pendingChange.discard().catch(() => undefined)
    if (error instanceof CertificateUnverifiedError || error instanceof AnswerMalformedError)
      error.addHint(
        'inform the administrator, and ask for a new token URL: the token is consumed, and nothing was stored',
      )
    if (error instanceof AnswerLostError && error.hints.length === 0)
      error.addHint(
        'ask the administrator for a new token URL, because the token is consumed, then run: kyconnect pair --url -',
      )
    if (error instanceof FilesError)
      error.addHint(
        'free some space, then pair again with a new token URL: the token is consumed, and the certificate is lost',
      )
    return error
  }
  return error instanceof KyconnectError
    ? error.addHint(`continue the pairing within 5 minutes: ${resumeCommand(profile)}`)
    : error
}

function warnOfDates({ notBefore, notAfter }: Metadata, { emit, now }: PairDeps): void {
  const at = now()
  if (notBefore > at) emit({ type: 'warning', warning: 'not-yet-valid-by-our-clock', notBefore })
  if (notAfter < at) emit({ type: 'warning', warning: 'expired-by-our-clock', notAfter })
}
