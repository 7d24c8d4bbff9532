import { KyconnectError } from '../errors.js'
import type { MetadataSummary } from '../identity/identity.js'
import type { ProfileSummary } from '../identity/store.js'
import { Backoff, keyOf, pollMs } from './backoff.js'
import type { DaemonEvent } from './daemon-event.js'
import { certificateState, dueDate, type DueRule, renewalDate } from './due.js'
import type { RenewalResult, RunResult } from './run.js'

export interface DaemonOptions {
  /** The only profile to renew, which may not exist yet; undefined: all of them. */
  readonly profile: string | undefined
  readonly rule: DueRule
  /** Whether `run` runs a hook. */
  readonly hasHook: boolean
}

export interface DaemonDeps {
  /** The wall clock. */
  readonly now: () => Date
  /** Milliseconds on a monotonic clock. */
  readonly monotonic: () => number
  /** From 0 to 1. */
  readonly random: () => number
  /** Waits, or less when something asks the daemon to look now. @throws the reason of the signal when it is aborted */
  readonly sleep: (milliseconds: number) => Promise<'elapsed' | 'rung'>
  readonly signal: AbortSignal
  /** @throws KyconnectError when the store cannot be read */
  readonly summaries: () => Promise<readonly ProfileSummary[]>
  /** Does what `kyconnect renew --if-due` does, for these profiles. @throws KyconnectError, and the reason of an aborted signal */
  readonly run: (profiles: readonly string[], onResult: (result: RenewalResult) => void) => Promise<RunResult>
  readonly emit: (event: DaemonEvent) => void
}

/** Milliseconds until a damaged identity is looked at again: it may have been read while another process removed it. */
const suspicionMs = 1000
/**
 * The share of the lifetime during which the daemon does not renew an identity again, whatever the clocks of this machine and the service
 * say.
 */
const restShare = 1 / 20
/** An identity is overdue when less than this share of the time between the due date and the expiry is left. */
const overdueShare = 1 / 2

/**
 * What the daemon remembers about an identity: what it has reported, failures and counters. Whether one is due is computed anew each time.
 */
interface Watched {
  /** As last read; undefined while the identity cannot be used. */
  metadata: MetadataSummary | undefined
  fingerprint: string | undefined
  condition: 'usable' | 'expired' | 'revoked' | 'suspect' | 'unusable'
  /** The problem of an unusable one. */
  problem: string | undefined
  isDueReported: boolean
  /** When it may be renewed again after a renewal, on the monotonic clock. */
  restsUntilMs: number
  readonly renewal: Backoff
  readonly hook: Backoff
  renewals: number
  failures: number
}

/**
 * `kyconnect renew --all --if-due`, run again and again. It looks at the store and the wall clock every minute and computes what is due
 * from them, so that a suspended machine, a clock that jumps, or an identity that another process replaces needs no special case.
 */
export class Daemon {
  readonly #options: DaemonOptions
  readonly #deps: DaemonDeps
  readonly #watched = new Map<string, Watched>()
  #summaries: readonly ProfileSummary[] | undefined
  #storeProblem: KyconnectError | undefined

  constructor(options: DaemonOptions, deps: DaemonDeps) {
    this.#options = options
    this.#deps = deps
  }

  /** Runs until the signal is aborted. @throws its reason */
  async run(): Promise<never> {
    for (;;) {
      this.#deps.signal.throwIfAborted()
      await this.#look()
      const wanted = this.#wanted()
      if (wanted.length > 0) await this.#renew(wanted)
      if ((await this.#deps.sleep(this.#pauseMs())) === 'rung') this.#forgetFailures()
    }
  }

  /** The identities as last read. */
  get summaries(): readonly ProfileSummary[] {
    return this.#summaries ?? []
  }

  /** How often each identity has been renewed, and how often that failed, since the start or since it appeared. */
  get counters(): readonly { profile: string; renewals: number; failures: number }[] {
    return [...this.#watched].map(([profile, { renewals, failures }]) => ({ profile, renewals, failures }))
  }

  /** What a person has to look at; empty when all is well. */
  problems(): readonly string[] {
    if (this.#storeProblem !== undefined) return [this.#storeProblem.message]
    if (this.#summaries === undefined) return ['the stored identities have not been read yet']
    const now = this.#deps.now()
    return [...this.#watched].flatMap(([profile, { metadata, condition }]) => {
      if (metadata === undefined) return condition === 'unusable' ? [`${profile}: the identity cannot be used`] : []
      const state = certificateState(metadata, this.#options.rule, now)
      if (state === 'expired') return [`${profile}: the certificate has expired`]
      if (state === 'revoked') return [`${profile}: the certificate has been revoked`]
      return this.#isOverdue(metadata, now) ? [`${profile}: the renewal is overdue`] : []
    })
  }

  #isOverdue(metadata: MetadataSummary, now: Date): boolean {
    const end = metadata.notAfter.getTime()
    const spanMs = end - dueDate(metadata, this.#options.rule).getTime()
    return end - now.getTime() < spanMs * overdueShare
  }

  /** Reads the store, and reports what has changed since the last look. */
  async #look(): Promise<void> {
    const { summaries, emit } = this.#deps
    let all: readonly ProfileSummary[]
    try {
      all = await summaries()
    } catch (error) {
      if (!(error instanceof KyconnectError) || this.#deps.signal.aborted) throw error
      const isNews = this.#storeProblem === undefined || keyOf(this.#storeProblem) !== keyOf(error)
      this.#storeProblem = error
      if (isNews) emit({ event: 'store-failed', error })
      return
    }
    if (this.#storeProblem !== undefined) emit({ event: 'store-recovered' })
    this.#storeProblem = undefined
    const only = this.#options.profile
    this.#summaries = only === undefined ? all : all.filter(({ profile }) => profile === only)
    const present = new Set(this.#summaries.map(({ profile }) => profile))
    for (const profile of this.#watched.keys()) {
      if (present.has(profile)) continue
      this.#watched.delete(profile)
      emit({ event: 'gone', profile })
    }
    for (const { profile, metadata, problem } of this.#summaries) {
      if (problem === undefined) this.#observe(profile, metadata)
      else this.#observeProblem(profile, problem)
    }
  }

  #observe(profile: string, metadata: MetadataSummary): void {
    const { emit, now } = this.#deps
    const known = this.#watched.get(profile)
    const watched = known ?? newlyWatched()
    this.#watched.set(profile, watched)
    const isReplaced = watched.fingerprint !== metadata.fingerprint
    if (isReplaced) {
      emit({ event: known === undefined ? 'appeared' : 'changed', profile, metadata })
      replace(watched)
    }
    watched.metadata = metadata
    watched.fingerprint = metadata.fingerprint
    watched.problem = undefined
    const state = certificateState(metadata, this.#options.rule, now())
    const condition = state === 'expired' || state === 'revoked' ? state : 'usable'
    if (condition === watched.condition) return
    if (condition !== 'usable') emit({ event: condition, profile, metadata })
    // While it was only suspect, nothing was reported.
    else if (watched.condition !== 'suspect') emit({ event: 'recovered', profile, metadata })
    watched.condition = condition
  }

  /** Reports an identity that is still damaged at the second look. */
  #observeProblem(profile: string, error: KyconnectError): void {
    const watched = this.#watched.get(profile) ?? newlyWatched()
    this.#watched.set(profile, watched)
    watched.metadata = undefined
    const problem = keyOf(error)
    if (watched.condition === 'unusable' && watched.problem === problem) return
    const isConfirmed = watched.condition === 'suspect' || watched.condition === 'unusable'
    watched.condition = isConfirmed ? 'unusable' : 'suspect'
    watched.problem = problem
    if (isConfirmed) this.#deps.emit({ event: 'unusable', profile, error })
  }

  /** The profiles for which a run has something to do now. */
  #wanted(): readonly string[] {
    if (this.#storeProblem !== undefined) return []
    return [...this.#watched].flatMap(([profile, watched]) =>
      this.#isRenewalWanted(profile, watched) || this.#isHookWanted(watched) ? [profile] : [],
    )
  }

  #isRenewalWanted(profile: string, watched: Watched): boolean {
    const { emit, monotonic, now } = this.#deps
    const { metadata, renewal } = watched
    const { rule } = this.#options
    if (metadata === undefined || certificateState(metadata, rule, now()) !== 'due') return false
    if (renewalDate(metadata, rule) > now()) return false
    if (renewal.remainingMs(monotonic()) > 0 || watched.restsUntilMs > monotonic()) return false
    if (!watched.isDueReported) emit({ event: 'due', profile, metadata })
    watched.isDueReported = true
    return true
  }

  #isHookWanted({ metadata, hook }: Watched): boolean {
    return this.#options.hasHook && metadata?.hookPending === true && hook.remainingMs(this.#deps.monotonic()) === 0
  }

  async #renew(profiles: readonly string[]): Promise<void> {
    const before = new Map(profiles.map((profile) => [profile, this.#watched.get(profile)?.fingerprint]))
    const failed = new Map<string, KyconnectError>()
    let result: RunResult | undefined
    try {
      result = await this.#deps.run(profiles, (each) => {
        if (each.outcome === 'renewed') this.#noteRenewal(each.profile, each.metadata)
        if (each.outcome === 'failed') failed.set(each.profile, each.error)
      })
    } catch (error) {
      if (!(error instanceof KyconnectError) || this.#deps.signal.aborted) throw error
      for (const profile of profiles) failed.set(profile, error)
    }
    // An identity that was removed or replaced during the run has not failed, and one that is found to be revoked is reported as such.
    await this.#look()
    if (result !== undefined) this.#noteHook(result)
    for (const [profile, error] of failed) {
      const watched = this.#watched.get(profile)
      if (watched?.condition !== 'usable' || watched.fingerprint !== before.get(profile)) continue
      this.#noteFailure(watched.renewal, watched)
      watched.failures += 1
      if (watched.renewal.isNews(error)) this.#deps.emit({ event: 'failed', profile, error })
    }
  }

  #noteRenewal(profile: string, metadata: MetadataSummary): void {
    const watched = this.#watched.get(profile)
    if (watched === undefined) return
    this.#deps.emit({ event: 'renewed', profile, metadata, failures: watched.renewal.count })
    replace(watched)
    watched.metadata = metadata
    watched.fingerprint = metadata.fingerprint
    watched.renewals += 1
    watched.restsUntilMs = this.#deps.monotonic() + lifetimeMs(metadata) * restShare
  }

  #noteHook({ hookProfiles, hookError }: RunResult): void {
    if (hookProfiles.length === 0) return
    let isNews = false
    for (const profile of hookProfiles) {
      const watched = this.#watched.get(profile)
      if (watched === undefined) continue
      if (hookError !== undefined) isNews = watched.hook.isNews(hookError) || isNews
      // A success that could not be recorded counts as a failure, because the hook is repeated. A warning has reported it.
      if (watched.metadata?.hookPending === true) this.#noteFailure(watched.hook, watched)
      else watched.hook.reset()
    }
    if (hookError === undefined) this.#deps.emit({ event: 'hook-succeeded', profiles: hookProfiles })
    else if (isNews) this.#deps.emit({ event: 'hook-failed', profiles: hookProfiles, error: hookError })
  }

  #noteFailure(backoff: Backoff, { metadata }: Watched): void {
    const { monotonic, random } = this.#deps
    backoff.fail(monotonic(), metadata === undefined ? Infinity : lifetimeMs(metadata), random)
  }

  #forgetFailures(): void {
    for (const { renewal, hook } of this.#watched.values()) {
      renewal.reset()
      hook.reset()
    }
  }

  #pauseMs(): number {
    const nowMs = this.#deps.monotonic()
    let pauseMs = pollMs(Infinity)
    for (const { metadata, condition, renewal, hook } of this.#watched.values()) {
      if (condition === 'suspect') pauseMs = Math.min(pauseMs, suspicionMs)
      if (metadata !== undefined) pauseMs = Math.min(pauseMs, pollMs(lifetimeMs(metadata)))
      for (const remainingMs of [renewal.remainingMs(nowMs), hook.remainingMs(nowMs)])
        if (remainingMs > 0) pauseMs = Math.min(pauseMs, remainingMs)
    }
    // With a shorter pause, the daemon would do nothing but look at the store.
    return Math.max(pollMs(0), pauseMs)
  }
}

function newlyWatched(): Watched {
  return {
    metadata: undefined,
    fingerprint: undefined,
    condition: 'usable',
    problem: undefined,
    isDueReported: false,
    restsUntilMs: -Infinity,
    renewal: new Backoff(),
    hook: new Backoff(),
    renewals: 0,
    failures: 0,
  }
}

/** There is another certificate: what was remembered about the previous one no longer applies, except the counters. */
function replace(watched: Watched): void {
  watched.condition = 'usable'
  watched.isDueReported = false
  watched.restsUntilMs = -Infinity
  watched.renewal.reset()
  watched.hook.reset()
}

function lifetimeMs({ notBefore, notAfter }: MetadataSummary): number {
  return notAfter.getTime() - notBefore.getTime()
}
