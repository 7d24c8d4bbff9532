import { KyconnectError } from '../errors.js'
import type { MetadataSummary } from '../identity/identity.js'
import type { ProfileSummary } from '../identity/store.js'
import type { PairDeps } from '../pairing/policy.js'
import { certificateState, type DueRule } from './due.js'
import { renewIdentity, type RenewalKey } from './renew.js'

/** One run over some identities: by a person, a timer or the daemon. */
export interface RenewalRun {
  readonly profiles: readonly string[]
  /** The summaries that the caller has just read, after mending the profiles. With them, only identities that need something are loaded. */
  readonly summaries?: readonly ProfileSummary[]
  /** Renew only what is due by this rule; undefined: renew everything. */
  readonly onlyDue: DueRule | undefined
  readonly key: RenewalKey
  /** Runs once after renewals, with the profiles renewed. @throws HookFailedError, and the reason of an aborted signal */
  readonly hook: ((profiles: readonly string[]) => Promise<void>) | undefined
}

export type RenewalResult =
  | {
      readonly profile: string
      readonly outcome: 'renewed' | 'renewed-before' | 'not-due'
      readonly metadata: MetadataSummary
    }
  | { readonly profile: string; readonly outcome: 'failed'; readonly error: KyconnectError }

export interface RunResult {
  readonly results: readonly RenewalResult[]
  /** The profiles that the hook was run for; empty when it was not run. */
  readonly hookProfiles: readonly string[]
  readonly hookError: KyconnectError | undefined
}

/**
 * Renews one identity after the other, and goes on after a failure; then runs the hook, once. A renewal whose hook has not succeeded is
 * remembered with the identity, so that the next run repeats the hook and not the renewal.
 * @param onResult called after each identity
 * @throws the reason of an aborted signal
 */
export async function renewAll(
  run: RenewalRun,
  deps: PairDeps,
  onResult: (result: RenewalResult) => void,
): Promise<RunResult> {
  const results: RenewalResult[] = []
  const fine = findFine(run, deps)
  for (const profile of run.profiles) {
    const metadata = fine.get(profile)
    const result: RenewalResult =
      metadata === undefined ? await renewOne(profile, run, deps) : { profile, outcome: 'not-due', metadata }
    results.push(result)
    onResult(result)
  }
  const { hook } = run
  const waiting = hook === undefined ? [] : await hookPending(results, deps)
  if (hook === undefined || waiting.length === 0) return { results, hookProfiles: [], hookError: undefined }
  const hookProfiles = waiting.map(({ profile }) => profile)
  try {
    await hook(hookProfiles)
  } catch (error) {
    if (!(error instanceof KyconnectError) || deps.transport.signal.aborted) throw error
    return { results, hookProfiles, hookError: error }
  }
  for (const metadata of waiting) await forgetHook(metadata, deps)
  return { results, hookProfiles, hookError: undefined }
}

/** The identities that are not due, by their metadata alone: with 1,000 of them, loading the keys would take seconds. */
function findFine({ onlyDue, summaries = [] }: RenewalRun, { now }: PairDeps): ReadonlyMap<string, MetadataSummary> {
  if (onlyDue === undefined) return new Map()
  return new Map(
    summaries.flatMap(({ profile, metadata }) =>
      metadata !== undefined && certificateState(metadata, onlyDue, now()) === 'fine' ? [[profile, metadata]] : [],
    ),
  )
}

async function renewOne(profile: string, run: RenewalRun, deps: PairDeps): Promise<RenewalResult> {
  const { onlyDue, key, hook } = run
  await deps.store.mend(profile)
  try {
    const { outcome, identity } = await renewIdentity(profile, { key, onlyDue, hasHook: hook !== undefined }, deps)
    return { profile, outcome, metadata: identity.metadata }
  } catch (error) {
    if (!(error instanceof KyconnectError) || deps.transport.signal.aborted) throw error
    return { profile, outcome: 'failed', error }
  }
}

/** The identities whose hook has not succeeded. The store is read again only when a renewal failed. */
async function hookPending(results: readonly RenewalResult[], { store }: PairDeps): Promise<MetadataSummary[]> {
  const isFailed = results.some(({ outcome }) => outcome === 'failed')
  const summaries = isFailed ? await store.summaries() : []
  return results.flatMap((result) => {
    const metadata =
      result.outcome === 'failed'
        ? summaries.find(({ profile }) => profile === result.profile)?.metadata
        : result.metadata
    return metadata?.hookPending === true ? [metadata] : []
  })
}

async function forgetHook({ profile, fingerprint }: MetadataSummary, { store, emit }: PairDeps): Promise<void> {
  try {
    await store.locked(profile, (change) =>
      change.amend((present) =>
        // A certificate renewed since then needs another run of the hook.
        present.fingerprint === fingerprint ? { ...present, hookPending: false } : present,
      ),
    )
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    emit({ type: 'warning', warning: 'hook-not-recorded', profile, cause: error.message })
  }
}
