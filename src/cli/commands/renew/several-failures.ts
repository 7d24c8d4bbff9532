import { KyconnectError } from '../../../errors.js'
import type { RunResult } from '../../../renewal/run.js'
import { exitCodeOf } from '../../exit-codes.js'

/** Exit codes in the order of how much they need a person: first certificates, then this machine, then what may pass. */
const bySeverity = [1, 4, 5, 9, 2, 12, 7, 6, 8]
/** The number of profiles that a message names; the details of the error name all. */
const maxNames = 10

/** What failed in a run, in one error: its code, and with it the exit code, is that of the worst. */
class SeveralFailures extends KyconnectError {
  readonly code: string

  constructor(message: string, { code }: KyconnectError, context: { hints: readonly string[]; details: object }) {
    super(message, { hints: context.hints, details: { ...context.details } })
    this.code = code
  }
}

interface Failure {
  /** undefined for the hook. */
  readonly profile: string | undefined
  readonly error: KyconnectError
}

/** The error that a run ends with: the only one as it is, or one that sums up several. undefined when nothing failed. */
export function failureOf({ results, hookError }: RunResult): KyconnectError | undefined {
  const failures: Failure[] = [
    ...results.flatMap((each) => (each.outcome === 'failed' ? [{ profile: each.profile, error: each.error }] : [])),
    ...(hookError === undefined ? [] : [{ profile: undefined, error: hookError }]),
  ]
  const [only, ...others] = failures
  if (only === undefined || others.length === 0) return only?.error
  const rank = ({ error }: Failure): number => bySeverity.indexOf(exitCodeOf(error.code))
  const [worst = only] = [...failures].sort((one, other) => rank(one) - rank(other))
  const failed = failures.flatMap(({ profile }) => profile ?? [])
  const notRenewed = `${failed.length} of ${results.length} identities ${failed.length === 1 ? 'was' : 'were'} not renewed: ${named(failed)}`
  const message = hookError === undefined ? notRenewed : `${notRenewed}; ${hookError.message}`
  return new SeveralFailures(message, worst.error, { hints: hintsOf(failures), details: { failed } })
}

/** One hint for each kind of failure: that of the first identity, with the names of the others that it applies to. */
function hintsOf(failures: readonly Failure[]): string[] {
  const byCode = new Map<string, Failure[]>()
  for (const failure of failures) byCode.set(failure.error.code, [...(byCode.get(failure.error.code) ?? []), failure])
  return [...byCode.values()].flatMap(([first, ...others]) => {
    const hint = first?.error.hints[0]
    if (first === undefined || hint === undefined) return []
    const likewise = others.flatMap(({ profile }) => profile ?? [])
    const about = likewise.length === 0 ? '' : ` (likewise ${named(likewise)})`
    return [first.profile === undefined ? hint : `${first.profile}${about}: ${hint}`]
  })
}

function named(profiles: readonly string[]): string {
  const more = profiles.length - maxNames
  return `${profiles.slice(0, maxNames).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
