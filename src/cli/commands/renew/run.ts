import { ProfileAmbiguousError, UsageError } from '../../../errors.js'
import type { RunOptions } from '../../../kyconnect.js'
import { isoSeconds } from '../../../identity/identity.js'
import { noIdentityIn } from '../../../identity/no-identity.js'
import { parseKeyAlgorithm } from '../../../pairing/key-source.js'
import { type DueRule, parseDueRule, renewalDate, usualDueRule } from '../../../renewal/due.js'
import type { RenewalKey } from '../../../renewal/renew.js'
import type { RenewalResult, RenewalRun, RunResult } from '../../../renewal/run.js'
import type { Context } from '../../context.js'
import { exitCodeOf } from '../../exit-codes.js'
import { runHook } from '../../hook.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { type NetworkOptions, profileOf, routeChoice } from '../../route-choice.js'
import { checkDaemonOptions, runDaemon } from './daemon.js'
import { failureOf } from './several-failures.js'

/** The flags of the command, as they are given. */
export interface RenewOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
  readonly all?: true
  readonly ifDue?: true
  readonly expiresIn?: string
  readonly reuseKey?: true
  readonly keyAlgorithm?: string
  readonly exec?: string
  readonly daemon?: true
  readonly listen?: string
}

/** @param argument a profile, as --profile */
export async function runRenew(argument: string | undefined, options: RenewOptions, context: Context): Promise<void> {
  const { kyconnect, stdout, stderr } = context
  const json = options.json === true
  checkDaemonOptions(options)
  const request = parseRequest(options, context)
  if (options.daemon === true) return runDaemon(namedOnly(argument, options, context), request, options, context)
  const chosen = await chooseProfiles(argument, options, context)
  const { profiles } = chosen
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  // A timer of another user than the one that paired would find nothing due for ever.
  if (profiles.length === 0) progress.emit({ type: 'warning', warning: 'no-identity', place: kyconnect.store.place })
  const choice = await routeChoice(options, context)
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  // For several identities, a line for each says more than the steps of all.
  const emit: RunOptions['emit'] = (event) => {
    if (options.all === undefined || event.type === 'warning') progress.emit(event)
  }
  const isShown = ({ outcome }: RenewalResult): boolean =>
    outcome === 'failed' ? profiles.length > 1 : outcome !== 'not-due' || (options.all !== true && stderr.isTerminal)
  const onResult = (result: RenewalResult): void => {
    if (result.outcome === 'failed') progress.fail()
    if (json || !isShown(result)) return
    const line = `${kyconnect.showable(describe(result, request.onlyDue))}\n`
    void (result.outcome === 'renewed' ? stdout : stderr).write(line)
  }
  const result = await kyconnect.renew({ ...request, ...chosen }, { choice, emit, trace: progress.trace }, onResult)
  if (json) await stdout.write(`${kyconnect.redactJson(documentOf(result, request.onlyDue))}\n`)
  const failure = failureOf(result)
  if (failure !== undefined) throw failure
}

/** @throws UsageError */
export function parseRequest(options: RenewOptions, context: Context): Omit<RenewalRun, 'profiles' | 'summaries'> {
  const { exec, expiresIn } = options
  if (exec?.trim() === '')
    throw new UsageError('--exec takes a command, not an empty text', { hints: ['leave --exec out to run nothing'] })
  const isOnlyDue = options.ifDue === true || options.daemon === true
  if (expiresIn !== undefined && !isOnlyDue) {
    throw new UsageError('--expires-in is for --if-due and --daemon only', {
      hints: ['add --if-due, or leave --expires-in out'],
    })
  }
  return {
    onlyDue: !isOnlyDue ? undefined : expiresIn === undefined ? usualDueRule : parseExpiresIn(expiresIn),
    key: parseKey(options),
    hook: exec === undefined ? undefined : (profiles) => runHook(exec, profiles, context),
  }
}

/** @throws UsageError */
export function parseExpiresIn(text: string): DueRule {
  const rule = parseDueRule(text)
  if (rule !== undefined) return rule
  throw new UsageError(`--expires-in takes a time such as 20d, 36h or 33%, not ${JSON.stringify(text.slice(0, 40))}`)
}

function parseKey({ reuseKey, keyAlgorithm }: RenewOptions): RenewalKey {
  if (reuseKey === undefined)
    return { kind: 'generated', algorithm: keyAlgorithm === undefined ? undefined : parseKeyAlgorithm(keyAlgorithm) }
  if (keyAlgorithm === undefined) return { kind: 'reused' }
  throw new UsageError('--reuse-key and --key-algorithm exclude each other', { hints: ['give one of them'] })
}

/** @throws NoIdentityError; with --all --if-due, no profile at all is not a failure */
async function chooseProfiles(
  argument: string | undefined,
  options: RenewOptions,
  context: Context,
): Promise<Pick<RenewalRun, 'profiles' | 'summaries'>> {
  const { kyconnect } = context
  const named = namedOnly(argument, options, context)
  if (options.all === undefined) return { profiles: [await selectOne(named, options, context)] }
  const summaries = await kyconnect.store.mendAll()
  if (summaries.length === 0 && options.ifDue === undefined) throw noIdentityIn(kyconnect.store.place)
  return { profiles: summaries.map(({ profile }) => profile), summaries }
}

/** @throws ProfileAmbiguousError, whose hints name --all too */
async function selectOne(named: string | undefined, { ifDue }: RenewOptions, { kyconnect }: Context): Promise<string> {
  try {
    return await kyconnect.selectProfile(named)
  } catch (error) {
    if (!(error instanceof ProfileAmbiguousError)) throw error
    throw error.addHint(`or renew all of them: kyconnect renew --all${ifDue === undefined ? '' : ' --if-due'}`)
  }
}

/** The only profile that the run, or the daemon, cares for; undefined with --all, and where none is named. @throws UsageError */
function namedOnly(argument: string | undefined, { profile, all }: RenewOptions, context: Context): string | undefined {
  if (all === undefined) return profileOf(argument, profile, context)
  if (profile === undefined && argument === undefined) return undefined
  throw new UsageError('--all and a profile exclude each other', { hints: ['give one of them'] })
}

function describe(result: RenewalResult, rule: DueRule | undefined): string {
  if (result.outcome === 'failed') return `${result.profile}: not renewed: ${result.error.message}`
  const { profile, outcome, metadata } = result
  const until = `valid until ${isoSeconds(metadata.notAfter)}`
  switch (outcome) {
    case 'renewed':
      return `${profile}: renewed, ${until}`
    case 'renewed-before':
      return `${profile}: already renewed by another process, ${until}`
    case 'not-due':
      return `${profile}: not due before ${isoSeconds(renewalDate(metadata, rule ?? usualDueRule))}, ${until}`
  }
}

function documentOf({ results, hookProfiles, hookError }: RunResult, rule: DueRule | undefined): unknown {
  return {
    results: results.map((result) => {
      const { profile, outcome } = result
      if (result.outcome === 'failed') {
        const { code, message, hints } = result.error
        return { profile, outcome, error: { code, message, hints, exitCode: exitCodeOf(code) } }
      }
      const { notAfter, fingerprint, app } = result.metadata
      const next = isoSeconds(renewalDate(result.metadata, rule ?? usualDueRule))
      return { profile, outcome, app, fingerprint, notAfter: isoSeconds(notAfter), nextRenewal: next }
    }),
    hook:
      hookProfiles.length === 0
        ? null
        : { profiles: hookProfiles, outcome: hookError === undefined ? 'done' : 'failed' },
  }
}
