import { nothingIn } from '../../../identity/no-identity.js'
import { pairAgain } from '../../../identity/pair-again.js'
import type { KyconnectError } from '../../../errors.js'
import { isoSeconds, type MetadataSummary } from '../../../identity/identity.js'
import type { DaemonEvent } from '../../../renewal/daemon-event.js'
import { certificateState, type DueRule, renewalDate } from '../../../renewal/due.js'

/** An event as one line for a person: the time, the profile, the text. */
export function daemonLine(event: DaemonEvent, rule: DueRule, now: Date): string {
  const about = 'profile' in event ? `${event.profile}: ` : ''
  return `${isoSeconds(now)} ${about}${describe(event, rule, now)}`
}

/** An event as a JSON document. */
export function daemonDocument(event: DaemonEvent, rule: DueRule, now: Date): Readonly<Record<string, unknown>> {
  return {
    time: isoSeconds(now),
    event: event.event,
    ...(event.event === 'started'
      ? { url: event.url ?? null, only: event.only ?? null, place: event.place, empty: event.isEmpty }
      : {}),
    ...('profile' in event ? { profile: event.profile } : {}),
    ...('profiles' in event ? { profiles: event.profiles } : {}),
    ...('metadata' in event ? certificateOf(event.metadata, rule, now) : {}),
    ...('failures' in event ? { failures: event.failures } : {}),
    ...('error' in event ? { error: errorOf(event.error) } : {}),
  }
}

function describe(event: DaemonEvent, rule: DueRule, now: Date): string {
  switch (event.event) {
    case 'started':
      return started(event)
    case 'stopping':
      return 'stopping'
    case 'appeared':
      return `found, ${validity(event.metadata, rule, now)}`
    case 'changed':
      return `changed by another process, ${validity(event.metadata, rule, now)}`
    case 'gone':
      return 'removed'
    case 'due':
      return `due for renewal, valid until ${isoSeconds(event.metadata.notAfter)}`
    case 'renewed':
      return `renewed${event.failures === 0 ? '' : ` after ${failures(event.failures)}`}, ${validity(event.metadata, rule, now)}`
    case 'failed':
      return `not renewed, will be tried again: ${event.error.message}`
    case 'expired':
      return `expired on ${isoSeconds(event.metadata.notAfter)}: ${pairAgain(event.profile)}`
    case 'revoked':
      return `revoked: it works until ${isoSeconds(event.metadata.notAfter)}, and cannot be renewed; ${pairAgain(event.profile)}`
    case 'unusable':
      return `cannot be used: ${event.error.message}`
    case 'recovered':
      return `usable again, ${validity(event.metadata, rule, now)}`
    case 'hook-succeeded':
      return `the --exec command succeeded for ${event.profiles.join(', ')}`
    case 'hook-failed':
      return `the --exec command failed for ${event.profiles.join(', ')}, will be run again: ${event.error.message}`
    case 'store-failed':
      return `the stored identities cannot be read, will be tried again: ${event.error.message}`
    case 'store-recovered':
      return 'the stored identities can be read again'
  }
}

function started({ url, only, place, isEmpty }: DaemonEvent & { readonly event: 'started' }): string {
  return [
    'started',
    ...(only === undefined ? [] : [` for the profile ${only} only`]),
    ...(url === undefined ? [] : [`, listening on ${url}`]),
    ...(isEmpty ? [`; ${nothingIn(place)}${only === undefined ? '' : ' under this name'} yet`] : []),
  ].join('')
}

function failures(count: number): string {
  return count === 1 ? '1 failure' : `${count} failures`
}

function validity(metadata: MetadataSummary, rule: DueRule, now: Date): string {
  const next = nextRenewal(metadata, rule, now)
  const until = `valid until ${isoSeconds(metadata.notAfter)}`
  return next === null ? until : `${until}, next renewal ${next}`
}

/** null for a certificate that cannot be renewed. */
function nextRenewal(metadata: MetadataSummary, rule: DueRule, now: Date): string | null {
  const state = certificateState(metadata, rule, now)
  return state === 'expired' || state === 'revoked' ? null : isoSeconds(renewalDate(metadata, rule))
}

function certificateOf(metadata: MetadataSummary, rule: DueRule, now: Date): Readonly<Record<string, unknown>> {
  const { app, fingerprint, notAfter } = metadata
  return { app, fingerprint, notAfter: isoSeconds(notAfter), nextRenewal: nextRenewal(metadata, rule, now) }
}

function errorOf({ code, message, hints, reason, target }: KyconnectError): Readonly<Record<string, unknown>> {
  return {
    code,
    message,
    hints,
    ...(reason === undefined ? {} : { reason }),
    ...(target === undefined ? {} : { target }),
  }
}
