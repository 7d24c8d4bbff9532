import { isoSeconds } from '../../identity/identity.js'

/** When a certificate ends, as a person reads it: the date, and within a day of it, before or after, the time too. @param left whole days */
export function validityEnd(notAfter: Date, left: number): string {
  return left === 0 || left === -1 ? isoSeconds(notAfter) : notAfter.toISOString().slice(0, 10)
}

/** How long a certificate is still valid, in words. @param left whole days */
export function describeDays(left: number): string {
  if (left < 0) return 'expired'
  if (left === 0) return 'less than a day left'
  return left === 1 ? '1 day left' : `${left} days left`
}
