import type { Metadata } from '../identity/identity.js'

/** When a certificate is due for renewal: when less than this is left of its validity. */
export type DueRule =
  { readonly kind: 'share'; readonly share: number } | { readonly kind: 'time'; readonly ms: number }

/** A third of the lifetime: 30 of 92 days. */
export const usualDueRule: DueRule = { kind: 'share', share: 1 / 3 }

/** The share of the lifetime over which renewals are spread, and within which a certificate is not renewed again. */
const spread = 1 / 20

/** What a certificate needs. */
export type CertificateState = 'fine' | 'due' | 'expired' | 'revoked'

type Validity = Pick<Metadata, 'notBefore' | 'notAfter' | 'fingerprint'>
type Rests = Pick<Metadata, 'obtainedAt' | 'rejectedAt'>

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** Reads `20d`, `36h` or `33%`; undefined when it is something else. */
export function parseDueRule(text: string): DueRule | undefined {
  const [, digits, unit = ''] = /^(\d{1,6}(?:\.\d{1,3})?)([smhdw%])$/.exec(text.trim()) ?? []
  const number = Number(digits)
  if (!(number > 0)) return undefined
  if (unit === '%') return number <= 100 ? { kind: 'share', share: number / 100 } : undefined
  const ms = unitMs[unit]
  return ms === undefined ? undefined : { kind: 'time', ms: number * ms }
}

/**
 * The instant from which a certificate is due: up to 1/20 of the lifetime earlier than the rule says. The fingerprint determines how much
 * earlier, so that the renewals of many identities are spread, and every program computes the same instant without storing anything. It is
 * never in the first 1/20 of the lifetime, so that no rule makes the service sign one certificate after another.
 */
export function dueDate({ notBefore, notAfter, fingerprint }: Validity, rule: DueRule): Date {
  const lifetimeMs = notAfter.getTime() - notBefore.getTime()
  const leftMs = rule.kind === 'share' ? lifetimeMs * rule.share : rule.ms
  const jitterMs = (parseInt(fingerprint.slice(0, 8), 16) / 2 ** 32) * lifetimeMs * spread
  return new Date(Math.max(notAfter.getTime() - leftMs - jitterMs, notBefore.getTime() + lifetimeMs * spread))
}

/**
 * The instant from which a program renews a certificate: when it is due, but not within 1/20 of its lifetime after this machine got it, or
 * after a new one was rejected.
 */
export function renewalDate(metadata: Validity & Rests, rule: DueRule): Date {
  const { rejectedAt } = metadata
  const rejectionMs = rejectedAt === null ? 0 : rejectedAt.getTime() + restMs(metadata)
  return new Date(Math.max(dueDate(metadata, rule).getTime(), newUntilMs(metadata), rejectionMs))
}

/** Whether this machine got the certificate so recently that no program renews it, although by a wrong clock it looks due at once. */
export function isNew(metadata: Validity & Rests, now: Date): boolean {
  return newUntilMs(metadata) > now.getTime()
}

/** Before the last 1/20 of the lifetime in any case: the clock may have been set back since this machine got the certificate. */
function newUntilMs(metadata: Validity & Rests): number {
  const { obtainedAt, notAfter } = metadata
  return Math.min(obtainedAt.getTime() + restMs(metadata), notAfter.getTime() - restMs(metadata))
}

function restMs({ notBefore, notAfter }: Validity): number {
  return (notAfter.getTime() - notBefore.getTime()) * spread
}

/** What a certificate needs at an instant. An expired or revoked one cannot be renewed: the App must be paired again. */
export function certificateState(
  metadata: Validity & Pick<Metadata, 'revokedAt'>,
  rule: DueRule,
  now: Date,
): CertificateState {
  if (metadata.notAfter <= now) return 'expired'
  if (metadata.revokedAt !== null) return 'revoked'
  return dueDate(metadata, rule) <= now ? 'due' : 'fine'
}
