import { createPrivateKey, type KeyObject } from 'node:crypto'
import { isRevokedRefusal } from '../connector/revocation.js'
import { fetchManagementInfo, type ManagementInfo } from '../connector/management-info.js'
import {
  AnswerLostError,
  AnswerMalformedError,
  CertificateExpiredError,
  CertificateRevokedError,
  CertificateUnverifiedError,
  ClientCertificateRefusedError,
  IdentityUnusableError,
  KyconnectError,
  RenewalWaitsError,
  RequestRefusedError,
} from '../errors.js'
import { IdentityGateway } from '../gateway/gateway.js'
import { type Identity, isoSeconds, type Metadata } from '../identity/identity.js'
import { warnIfNotDurable } from '../identity/not-durable.js'
import { pairAgain } from '../identity/pair-again.js'
import type { ProfileChange } from '../identity/store.js'
import { certify } from '../pairing/certify.js'
import { learnEndpoints, managementInfoUrl, noOtherHosts } from '../pairing/endpoints.js'
import { retryWhileRefused } from '../pairing/fresh-certificate.js'
import type { PairDeps } from '../pairing/policy.js'
import { readSubject } from '../pki/chain.js'
import { commonName, type DistinguishedName, formatRfc4514 } from '../pki/distinguished-name.js'
import { generateKey, isKeyAlgorithm, type KeyAlgorithm } from '../pki/key.js'
import { refusalError } from '../transport/refusal.js'
import { certificateState, type DueRule, isNew, renewalDate } from './due.js'

/** The key of the new certificate. */
export type RenewalKey =
  | { readonly kind: 'reused' }
  /** undefined: the announced algorithm, or else that of the current key. */
  | { readonly kind: 'generated'; readonly algorithm: KeyAlgorithm | undefined }

export interface RenewalRequest {
  readonly key: RenewalKey
  /** Renew only what is due by this rule, and wait after a certificate was rejected; undefined: renew now. */
  readonly onlyDue: DueRule | undefined
  /** Whether a command runs after the renewal: the identity is marked until that command has succeeded. */
  readonly hasHook: boolean
}

export interface Renewal {
  /** `not-due`: not due. `renewed-before`: another process has renewed it while this one waited. */
  readonly outcome: 'renewed' | 'renewed-before' | 'not-due'
  readonly identity: Identity
}

/** Milliseconds that a renewal, or a revocation, waits for another process that changes the same profile. */
export const lockPatienceMs = 60_000
/** Milliseconds during which the gateway may refuse the new certificate: its clock may lag behind the Connector's. */
const proofPatienceMs = 60_000

/**
 * Renews an identity: management info, CSR, signing, verification, then a proof that the gateway accepts the new certificate, and only then
 * the commit. Until the commit, which is the point of no return, the current identity stays in use whatever fails.
 * @throws CertificateExpiredError and CertificateRevokedError before any request; CertificateUnverifiedError, ClientCertificateRefusedError,
 *   LockHeldError, and what the transport and the store throw
 */
export async function renewIdentity(profile: string, request: RenewalRequest, deps: PairDeps): Promise<Renewal> {
  const { store } = deps
  const before = await store.load(profile)
  const { onlyDue } = request
  if (!isWanted(before.metadata, onlyDue, deps.now())) return { outcome: 'not-due', identity: before }
  checkRenewable(before.metadata, onlyDue, deps.now())
  return store.locked(
    profile,
    async (change) => {
      const present = await store.load(profile)
      // While this one waited, another process may have renewed it or paired again; or it has rolled back to an older one.
      if (isNewer(present.metadata, before.metadata)) return { outcome: 'renewed-before', identity: present }
      if (!isWanted(present.metadata, onlyDue, deps.now())) return { outcome: 'not-due', identity: present }
      checkRenewable(present.metadata, onlyDue, deps.now())
      return { outcome: 'renewed', identity: await renewLocked(present, request, change, deps) }
    },
    lockPatienceMs,
  )
}

function isWanted(metadata: Metadata, onlyDue: DueRule | undefined, now: Date): boolean {
  if (onlyDue === undefined) return true
  const state = certificateState(metadata, onlyDue, now)
  return state === 'due' ? !isNew(metadata, now) : state !== 'fine'
}

function isNewer(present: Metadata, before: Metadata): boolean {
  return present.fingerprint !== before.fingerprint && present.notBefore >= before.notBefore
}

/**
 * The gateway refuses an expired certificate, and the service does not renew a revoked one (docs/contract.md §8): no request is sent for
 * either. After a rejected certificate, only a person makes the service sign the next one at once.
 */
function checkRenewable(metadata: Metadata, onlyDue: DueRule | undefined, now: Date): void {
  const { profile, notAfter, revokedAt, rejectedAt } = metadata
  if (notAfter <= now) throw expiredError(metadata)
  if (revokedAt !== null) throw revoked(profile, `has been marked as revoked since ${isoSeconds(revokedAt)}`)
  if (onlyDue === undefined || rejectedAt === null) return
  const next = renewalDate(metadata, onlyDue)
  if (next <= now) return
  throw new RenewalWaitsError(
    `the renewal of "${profile}" waits until ${isoSeconds(next)}: the certificate signed on ${isoSeconds(rejectedAt)} was rejected`,
    { hints: [`try it now: kyconnect renew --profile ${profile}`], details: { profile, rejectedAt, next } },
  )
}

/** The error for an expired certificate. @param cause why it was not renewed in time, if that is known */
export function expiredError({ profile, notAfter }: Metadata, cause?: unknown): CertificateExpiredError {
  return new CertificateExpiredError(`the certificate of "${profile}" expired on ${isoSeconds(notAfter)}`, {
    hints: [pairAgain(profile)],
    details: { profile },
    cause,
  })
}

async function renewLocked(
  present: Identity,
  request: RenewalRequest,
  change: ProfileChange,
  deps: PairDeps,
): Promise<Identity> {
  const { choice, transport, now, emit } = deps
  const { profile } = present.metadata
  const gateway = new IdentityGateway(present, choice, transport, now)
  const reached = { signature: false, proof: false }
  const takeKey = beginKey(present, request.key)
  try {
    emit({ type: 'started', step: 'management-info' })
    const { metadata: about, info } = await learnEndpoints(present.metadata, gateway, noOtherHosts, emit)
    emit({ type: 'finished', step: 'management-info', urlCount: Object.keys(about.urls).length })
    const url = renewalUrl(about)
    if (request.key.kind === 'reused') await waitForNextSecond(present.metadata, deps)
    const subject = await subjectFor(present, info)

    emit({ type: 'started', step: 'private-key' })
    const key = await takeKey(info)
    const bits = key.asymmetricKeyDetails?.modulusLength
    emit({ type: 'finished', step: 'private-key', source: request.key.kind, bits })

    emit({ type: 'started', step: 'certificate' })
    // A certificate that is signed and cannot be stored would be signed again and again.
    await change.checkSpace()
    const certified = await certify(
      gateway.client,
      {
        url,
        key,
        subject,
        about: { ...about, hookPending: request.hasHook || about.hookPending, obtainedAt: now(), rejectedAt: null },
      },
      change,
      {
        onSigned: () => (reached.signature = true),
        beforeCommit: async (candidate) => {
          reached.proof = true
          await prove(candidate, present, deps)
        },
        pending: 'keep',
      },
    )
    if (certified.outcome === 'refused') {
      if (!isRevokedRefusal(certified.answer)) throw refusalError(certified.answer, 'the renewal')
      await note(change, { revokedAt: now() })
      throw revoked(profile, 'has been revoked')
    }
    const { value } = certified.written
    emit({ type: 'finished', step: 'certificate', notAfter: value.metadata.notAfter, directory: value.directory })
    warnIfNotDurable(certified.written, emit)
    return value
  } catch (error) {
    if (reached.signature && isRejection(error)) await note(change, { rejectedAt: now() })
    throw afterFailure(reached.proof ? error : gateway.explain(error), profile)
  } finally {
    await gateway.close()
  }
}

/** Whether the fault is in the signed certificate. After a lost answer or a failure of the network, the next one may be good. */
function isRejection(error: unknown): boolean {
  return (
    error instanceof CertificateUnverifiedError ||
    error instanceof AnswerMalformedError ||
    error instanceof ClientCertificateRefusedError ||
    error instanceof RequestRefusedError
  )
}

/** Stores why an identity was not renewed. Where that fails, the reason is still the error to report, and the next run finds it again. */
async function note(change: ProfileChange, facts: Partial<Pick<Metadata, 'revokedAt' | 'rejectedAt'>>): Promise<void> {
  try {
    await change.amend((metadata) => ({ ...metadata, ...facts }))
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
  }
}

/** Checks that the new certificate is valid for longer than the current one, and that the gateway accepts it. */
async function prove(candidate: Identity, present: Identity, deps: PairDeps): Promise<void> {
  const { metadata } = candidate
  checkLongerValid(metadata, present.metadata)
  const infoUrl = managementInfoUrl(metadata)
  if (infoUrl === undefined) return
  const gateway = new IdentityGateway(candidate, deps.choice, deps.transport, deps.now)
  try {
    await retryWhileRefused(proofPatienceMs, deps, () => fetchManagementInfo(gateway.client, infoUrl))
  } catch (error) {
    if (!(error instanceof ClientCertificateRefusedError || error instanceof RequestRefusedError)) throw error
    throw error.replaceHints(
      'inform the administrator of the cluster: the gateway does not accept what the Connector signs, perhaps because the CA was replaced',
    )
  } finally {
    await gateway.close()
  }
}

/** @throws CertificateUnverifiedError */
function checkLongerValid(offered: Metadata, present: Metadata): void {
  if (offered.notAfter > present.notAfter) return
  // Dates in certificates are whole seconds: both may have been signed in the same one.
  const isAsNew = offered.notAfter.getTime() === present.notAfter.getTime() && offered.notBefore >= present.notBefore
  if (isAsNew && offered.fingerprint !== present.fingerprint) return
  throw new CertificateUnverifiedError(
    `the new certificate is valid until ${isoSeconds(offered.notAfter)}, no longer than the current one`,
    { details: { present: present.notAfter, offered: offered.notAfter } },
  )
}

/** The service gives every certificate the same serial number, so two for one key that are signed in the same second are identical. */
async function waitForNextSecond({ notBefore }: Metadata, { now, transport }: PairDeps): Promise<void> {
  const ageMs = now().getTime() - notBefore.getTime()
  if (ageMs >= 0 && ageMs < 1000) await transport.sleep(1000 - ageMs, transport.signal)
}

function renewalUrl({ urls, profile }: Metadata): URL {
  const { renewCertUrl } = urls
  if (renewCertUrl !== undefined) return new URL(renewCertUrl)
  throw new IdentityUnusableError(`the gateway names no URL for renewing the certificate of "${profile}"`, {
    hints: ['ask the administrator of the cluster, or pair again before the certificate expires'],
  })
}

/** The subject that the service announces now. Early releases announce none: then it is that of the certificate. */
async function subjectFor({ metadata, material }: Identity, { subject }: ManagementInfo): Promise<DistinguishedName> {
  if (subject === undefined) return readSubject(material.leaf)
  if (commonName(subject) === metadata.commonName) return subject
  throw new AnswerMalformedError(
    `the management info announces the subject ${formatRfc4514(subject).slice(0, 300)}, but the certificate is for "${metadata.commonName}"`,
    { hints: ['inform the administrator of the cluster'] },
  )
}

/**
 * The key of the new certificate. Its algorithm is the requested one, else the announced one, else that of the current key. Generating a key
 * takes as long as all other steps, so the key that will probably be needed is generated in another thread meanwhile.
 * @returns a function that returns the key; it needs the management info
 */
function beginKey({ material }: Identity, wanted: RenewalKey): (info: ManagementInfo) => Promise<KeyObject> {
  const present = createPrivateKey(material.key)
  if (wanted.kind === 'reused') return () => Promise.resolve(present)
  const begun = wanted.algorithm ?? algorithmOf(present)
  const key = generateKey(begun)
  // The key may never be used, and then nothing handles its failure.
  key.catch(() => undefined)
  return ({ keyAlgorithm }) => {
    const announced = keyAlgorithm?.toLowerCase() ?? ''
    const algorithm = wanted.algorithm ?? (isKeyAlgorithm(announced) ? announced : begun)
    return algorithm === begun ? key : generateKey(algorithm)
  }
}

function algorithmOf(key: KeyObject): KeyAlgorithm {
  const name = `rsa${key.asymmetricKeyDetails?.modulusLength ?? ''}`
  return isKeyAlgorithm(name) ? name : 'rsa2048'
}

function revoked(profile: string, what: string): CertificateRevokedError {
  return new CertificateRevokedError(
    `the certificate of "${profile}" ${what}: it works until it expires, and cannot be renewed`,
    {
      hints: [pairAgain(profile)],
      details: { profile },
    },
  )
}

function afterFailure(error: unknown, profile: string): unknown {
  if (!(error instanceof KyconnectError) || error instanceof CertificateRevokedError) return error
  const again = error instanceof AnswerLostError ? `renew it again: kyconnect renew --profile ${profile}` : undefined
  const kept = 'the current identity stays in use'
  return error.addHint(again === undefined ? kept : `${kept}; ${again}`)
}
