import { IdentityUnusableError, type KyconnectError, PairAgainError, RenewalDueError } from '../../../errors.js'
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
    sentence(expired, 'the certificate', 'has expired', 'have expired'),
    sentence(revoked, 'the certificate', 'has been revoked', 'have been revoked'),
    sentence(unusable, 'the identity', 'cannot be used', 'cannot be used'),
    sentence(due, 'the certificate', 'is due for renewal', 'are due for renewal'),
    ...(hookPending.length === 0 ? [] : [`the command of renew --exec has not succeeded for ${names(hookPending)}`]),
  ]
    .filter((text) => text !== '')
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

function sentence(profiles: readonly string[], thing: string, isSo: string, areSo: string): string {
  const [only, ...others] = profiles
  if (only === undefined) return ''
  const things = thing.replace(/y$/, 'ie')
  return others.length === 0 ? `${thing} of "${only}" ${isSo}` : `${things}s of ${names(profiles)} ${areSo}`
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
    ? [`pair again with a new token URL: kyconnect pair --force --profile ${only} --url -`]
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
