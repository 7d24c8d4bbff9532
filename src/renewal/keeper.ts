import { isDeepStrictEqual } from 'node:util'
import { CertificateRevokedError, KyconnectError, UnexpectedError } from '../errors.js'
import type { Identity } from '../identity/identity.js'
import type { PairDeps } from '../pairing/policy.js'
import { certificateState, type CertificateState, renewalDate, usualDueRule } from './due.js'
import { expiredError, renewIdentity } from './renew.js'

/** Milliseconds between two looks at the store for what another process changed. */
const lookIntervalMs = 10_000
/** Milliseconds without a renewal after a failed one; the pause doubles with each failure. */
const firstPauseMs = 60_000
const longestPauseMs = 3_600_000
/** A pause is at most this share of the lifetime, so that it never outlasts the certificate. */
const longestPauseShare = 1 / 20

/** How a keeper reports to its owner. */
export interface KeeperEvents {
  /** Called with the identity that is used from now on. */
  readonly onChange: (identity: Identity) => void
  /** A renewal failed, or the store could not be read; the current identity stays in use. */
  readonly onError: (error: KyconnectError) => void
}

/**
 * Keeps one identity alive: renews it when it is due, and notices what another process did to it. It has no timer: all of that
 * happens when the identity is used.
 */
export class Keeper {
  readonly #deps: PairDeps
  readonly #events: KeeperEvents
  #identity: Identity
  /** By the monotonic clock, as all times here except those of certificates. */
  #lookedMs: number
  #looking: Promise<void> | undefined
  #renewing: Promise<void> | undefined
  /** The fingerprint of the expired certificate for which a successor has been looked for. */
  #expiredSeen: string | undefined
  #failures = 0
  #nextAttemptMs = -Infinity
  #lastError: KyconnectError | undefined

  constructor(identity: Identity, deps: PairDeps, events: KeeperEvents) {
    this.#identity = identity
    this.#deps = deps
    this.#events = events
    this.#lookedMs = deps.transport.now()
  }

  /** The identity as it is known now. */
  get identity(): Identity {
    return this.#identity
  }

  /**
   * The identity to use for a request. Looks and renewals run in the background; only when the certificate has expired does this wait, for a
   * look at the store.
   * @throws CertificateExpiredError
   */
  async usable(): Promise<Identity> {
    if (this.#state() === 'expired') await this.#findSuccessor()
    else if (this.#shouldLook()) void this.#look()
    const state = this.#state()
    if (state === 'expired') throw expiredError(this.#identity.metadata, this.#lastError)
    if (state !== 'fine' && this.#mayTry(state)) this.#renew().catch(() => undefined)
    return this.#identity
  }

  /**
   * Renews now if the certificate is due, whatever failed before.
   * @returns whether there is a new certificate; another process may have renewed it
   * @throws as renewIdentity
   */
  async renewIfDue(): Promise<boolean> {
    const { fingerprint } = this.#identity.metadata
    await this.#look()
    if (this.#state() !== 'fine') await this.#renew()
    return this.#identity.metadata.fingerprint !== fingerprint
  }

  /**
   * Looks at the store now, and waits for a renewal that runs or is due: for a caller whose certificate was refused.
   * @returns the identity to use; the same as before if there is none that is newer
   * @throws CertificateExpiredError
   */
  async refresh(): Promise<Identity> {
    await this.#look()
    await this.usable()
    await this.#renewing?.catch(() => undefined)
    return this.#identity
  }

  /** Waits for what runs in the background. */
  async settle(): Promise<void> {
    await Promise.allSettled([this.#looking, this.#renewing])
  }

  #state(): CertificateState {
    return certificateState(this.#identity.metadata, usualDueRule, this.#deps.now())
  }

  /** Whether a renewal may be tried now, and not only after a pause. For a revoked certificate, a try only reports the revocation. */
  #mayTry(state: CertificateState): boolean {
    const { now, transport } = this.#deps
    if (transport.now() < this.#nextAttemptMs) return false
    return state === 'revoked' || renewalDate(this.#identity.metadata, usualDueRule) <= now()
  }

  #shouldLook(): boolean {
    return this.#deps.transport.now() - this.#lookedMs >= lookIntervalMs
  }

  async #findSuccessor(): Promise<void> {
    const { fingerprint } = this.#identity.metadata
    if (this.#looking === undefined && this.#expiredSeen === fingerprint && !this.#shouldLook()) return
    this.#expiredSeen = fingerprint
    await this.#look()
  }

  /** One look at a time, shared by all callers. It never fails: the known identity stays in use. */
  #look(): Promise<void> {
    this.#looking ??= this.#load().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #load(): Promise<void> {
    this.#lookedMs = this.#deps.transport.now()
    try {
      this.#adopt(await this.#deps.store.load(this.#identity.metadata.profile))
    } catch (error) {
      this.#report(error)
    }
  }

  /** One renewal at a time, shared by all callers. */
  #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #renewOnce(): Promise<void> {
    const key = { kind: 'generated', algorithm: undefined } as const
    try {
      const { identity } = await renewIdentity(
        this.#identity.metadata.profile,
        { key, onlyDue: usualDueRule, hasHook: false },
        this.#deps,
      )
      this.#adopt(identity)
      this.#forgetFailures()
    } catch (error) {
      this.#postpone()
      // The identity is marked as revoked now.
      if (error instanceof CertificateRevokedError) await this.#look()
      this.#report(error)
      throw error
    }
  }

  #adopt(identity: Identity): void {
    if (sameIdentity(identity, this.#identity)) return
    if (identity.metadata.fingerprint !== this.#identity.metadata.fingerprint) this.#forgetFailures()
    this.#identity = identity
    this.#events.onChange(identity)
  }

  #forgetFailures(): void {
    this.#failures = 0
    this.#nextAttemptMs = -Infinity
    this.#lastError = undefined
  }

  #postpone(): void {
    const { notBefore, notAfter } = this.#identity.metadata
    const longestMs = Math.min(longestPauseMs, (notAfter.getTime() - notBefore.getTime()) * longestPauseShare)
    this.#nextAttemptMs = this.#deps.transport.now() + Math.min(firstPauseMs * 2 ** this.#failures, longestMs)
    this.#failures++
  }

  #report(error: unknown): void {
    // Work that ended because the identity was closed has not failed.
    if (this.#deps.transport.signal.aborted) return
    this.#lastError = asKyconnectError(error)
    this.#events.onError(this.#lastError)
  }
}

/** A store that a program brings along may throw anything. */
function asKyconnectError(error: unknown): KyconnectError {
  if (error instanceof KyconnectError) return error
  return new UnexpectedError(error instanceof Error ? error.message : String(error), { cause: error })
}

function sameIdentity(one: Identity, other: Identity): boolean {
  return isDeepStrictEqual([one.metadata, one.material], [other.metadata, other.material])
}
