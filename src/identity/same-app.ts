import { LockHeldError } from '../errors.js'
import type { Metadata } from './identity.js'

/**
 * Checks that a profile still holds an identity of the same App behind the same gateway: a renewed one is, one that was paired anew may not be.
 * @throws LockHeldError with this hint
 */
export function checkSameApp(before: Metadata, present: Metadata, hint: string): void {
  if (present.commonName === before.commonName && present.gatewayHost === before.gatewayHost) return
  const { profile } = before
  throw new LockHeldError(`another process has paired "${profile}" with the App "${present.app}" meanwhile`, {
    hints: [hint],
    details: { profile },
  })
}
