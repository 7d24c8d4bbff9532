import { IdentityUnusableError, type KyconnectError, PairAgainError, RenewalDueError } from '../../../errors.js'
import { pairAgain } from '../../../identity/pair-again.js'
import type { Assessment } from './assessment.js'

/** The number of profiles that a message names; the details of the error name all. */
const maxNames = 10

/**
 * The error of --check, by the worst that was found: an App to pair again, then an identity that cannot be used, then what the next run of
 * `renew` mends. It names everything that was found. undefined when all is fine.
 * @param expiresIn the rule as it was given, for the command to run next
 */
export function verdict(assessments: readonly Assessment[], expiresIn: string | undefined): KyconnectError | undefined {
  const inState = (state: Assessment['state']): string[] =>
    assessments.flatMap((each) => (each.state === state ? [each.profile] : []))
  const details = {
    expired: inState('expired'),
    revoked: inState('revoked'),
    unusable: inState('unusable'),
    due: inState('due'),
    hookPending: assessments.flatMap((each) =>
      each.state !== 'unusable' && each.metadata.hookPending ? [each.profile] : [],
    ),
  }
  const { expired, revoked, unusable, due, hookPending } = details
  const message = [
    sentence(
      expired,
      (one) => `the certificate of ${one} has expired`,
      (all) => `the certificates of ${all} have expired`,
    ),
    sentence(
      revoked,
      (one) => `the certificate of ${one} has been revoked`,
      (all) => `the certificates of ${all} have been revoked`,
    ),
    sentence(
      unusable,
      (one) => `the identity ${one} cannot be used`,
      (all) => `the identities ${all} cannot be used`,
    ),
    sentence(
      due,
      (one) => `the certificate of ${one} is due for renewal`,
      (all) => `the certificates of ${all} are due for renewal`,
    ),
    sentence(hookPending, (any) => `the --exec command has not succeeded for ${any}`),
  ]
    .flat()
    .join('; ')
  if (message === '') return undefined
  const hints = [
    ...pairHints([...expired, ...revoked]),
    ...unusableHints(assessments),
    ...renewHints(due, '', expiresIn),
    ...renewHints(hookPending, ' --exec <command>', expiresIn),
  ]
  if (expired.length + revoked.length > 0) return new PairAgainError(message, { hints, details })
  if (unusable.length > 0) return new IdentityUnusableError(message, { hints, details })
  return new RenewalDueError(message, { hints, details })
}

/** No sentence for no profile. */
function sentence(
  profiles: readonly string[],
  ofOne: (name: string) => string,
  ofSeveral: (names: string) => string = ofOne,
): string[] {
  if (profiles.length === 0) return []
  return [profiles.length === 1 ? ofOne(names(profiles)) : ofSeveral(names(profiles))]
}

function names(profiles: readonly string[]): string {
  const named = profiles.slice(0, maxNames).map((profile) => `"${profile}"`)
  const more = profiles.length - named.length
  return more === 0 ? named.join(', ') : `${named.join(', ')} and ${more} more`
}

function pairHints(profiles: readonly string[]): string[] {
  const [only = '', ...others] = profiles
  if (only === '') return []
  return others.length === 0
    ? [pairAgain(only)]
    : ['pair each again with a new token URL: kyconnect pair --force --profile <profile> --url -']
}

/** A single problem may have its own hints; for several, the table has shown each. */
function unusableHints(assessments: readonly Assessment[]): readonly string[] {
  const unusable = assessments.filter((each) => each.state === 'unusable')
  const [only, ...others] = unusable
  if (only !== undefined && others.length === 0 && only.problem.hints.length > 0) return only.problem.hints
  return pairHints(unusable.map(({ profile }) => profile))
}

function renewHints(profiles: readonly string[], exec: string, expiresIn: string | undefined): string[] {
  const [only, ...others] = profiles
  if (only === undefined) return []
  const rule = expiresIn === undefined ? '' : ` --expires-in ${expiresIn}`
  const which = others.length === 0 ? `--profile ${only}` : '--all'
  const what = exec === '' ? (others.length === 0 ? 'renew it' : 'renew them') : 'run it again'
  return [`${what}: kyconnect renew ${which} --if-due${rule}${exec}`]
}
