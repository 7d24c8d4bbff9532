import { CertificateExpiredError, CertificateRevokedError } from '../errors.js'
import { type Identity, isoSeconds, type Metadata } from '../identity/identity.js'
import type { IdentityStore, Written } from '../identity/store.js'

export interface RollbackRequest {
  readonly profile: string
  /** Restore the identity even if its certificate has expired or been revoked. */
  readonly anyway: boolean
}

/**
 * Restores the identity that the last renewal or pairing replaced. The check takes place under the lock, so that the checked identity is the
 * restored one.
 * @throws CertificateExpiredError and CertificateRevokedError before anything has changed; NoIdentityError when there is none
 */
export function rollBack(
  { profile, anyway }: RollbackRequest,
  { store, now }: { readonly store: IdentityStore; readonly now: () => Date },
): Promise<Written<Identity>> {
  return store.locked(profile, async (change) => {
    const previous = anyway ? undefined : await change.previous()
    if (previous !== undefined) checkUsable(previous.metadata, now())
    return change.rollback()
  })
}

function checkUsable({ profile, notAfter, revokedAt }: Metadata, now: Date): void {
  const context = {
    hints: [`restore it anyway: kyconnect rollback ${profile} --yes`],
    details: { profile, notAfter, revokedAt },
  }
  if (notAfter <= now) {
    throw new CertificateExpiredError(
      `the previous certificate of "${profile}" expired on ${isoSeconds(notAfter)}: no service accepts it`,
      context,
    )
  }
  if (revokedAt !== null) {
    throw new CertificateRevokedError(
      `the previous certificate of "${profile}" has been marked as revoked since ${isoSeconds(revokedAt)}: it cannot be renewed`,
      context,
    )
  }
}
