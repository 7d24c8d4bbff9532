import { KyconnectError, NoIdentityError, ProfileNameError, UsageError } from '../../../errors.js'
import { nothingIn } from '../../../identity/no-identity.js'
import type { IdentityStore, ProfileSummary } from '../../../identity/store.js'
import { usualDueRule } from '../../../renewal/due.js'
import { formatMetrics } from '../../../renewal/prometheus.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { styleFor } from '../../output/style.js'
import { givenProfile } from '../../route-choice.js'
import { parseExpiresIn } from '../renew/run.js'
import { assess } from './assessment.js'
import { documentOf } from './document.js'
import { formatTable } from './table.js'
import { verdict } from './verdict.js'

/** The flags of the command, as they are given. */
export interface StatusOptions extends OutputOptions {
  readonly profile?: string
  readonly expiresIn?: string
  readonly check?: true
  readonly prometheus?: true
}

/** The most identities whose keys are checked: it takes 1.3 ms each, and reading the metadata 0.06 ms. */
const maxChecked = 20

/** @param argument a profile, as --profile */
export async function runStatus(argument: string | undefined, options: StatusOptions, context: Context): Promise<void> {
  const { kyconnect, runtime, stdout, stderr } = context
  const { json, prometheus, expiresIn } = options
  const named = givenProfile(argument, options.profile)
  if (json === true && prometheus === true)
    throw new UsageError('--json and --prometheus exclude each other', { hints: ['give one of them'] })
  const rule = expiresIn === undefined ? usualDueRule : parseExpiresIn(expiresIn)
  const { store } = kyconnect
  const summaries = named === undefined ? await summariesOfAll(store) : [await summaryOf(named, store)]
  const now = runtime.now()
  const assessments = summaries.map((summary) => assess(summary, rule, now))
  if (json === true) await stdout.write(jsonLine({ identities: assessments.map((each) => documentOf(each, now)) }))
  else if (prometheus === true) await stdout.write(formatMetrics(summaries, rule, now))
  else if (assessments.length > 0)
    await stdout.write(formatTable(assessments, now, styleFor(stdout, runtime.environment)))
  if (assessments.length === 0 && json !== true && options.check === undefined)
    await stderr.write(`${kyconnect.showable(nothingIn(store.place))}\n`)
  if (options.check === undefined) return
  // With none, this throws the error that says how to get one.
  if (assessments.length === 0) await kyconnect.selectProfile(undefined)
  const error = verdict(assessments, expiresIn)
  if (error !== undefined) throw error
}

/** What the store says about all identities; up to `maxChecked` of them are read completely, because metadata does not show a damaged key. */
async function summariesOfAll(store: IdentityStore): Promise<ProfileSummary[]> {
  const summaries = await store.summaries()
  if (summaries.length > maxChecked) return summaries
  const checked: ProfileSummary[] = []
  for (const summary of summaries) {
    try {
      checked.push(summary.metadata === undefined ? summary : await summaryOf(summary.profile, store))
    } catch (error) {
      // Removed since the summaries were read.
      if (!(error instanceof NoIdentityError)) throw error
    }
  }
  return checked
}

/** @throws NoIdentityError, ProfileNameError */
async function summaryOf(profile: string, store: IdentityStore): Promise<ProfileSummary> {
  try {
    const { metadata } = await store.load(profile)
    return { profile, metadata }
  } catch (error) {
    if (!(error instanceof KyconnectError) || error instanceof NoIdentityError || error instanceof ProfileNameError)
      throw error
    return { profile, problem: error }
  }
}
