import { CertificateRevokedError } from '../errors.js'
import type { Metadata } from '../identity/identity.js'
import type { Emit } from '../progress.js'
import { keyOf } from './backoff.js'
import type { KeeperEvents } from './keeper.js'

/**
 * Reports what a keeper does while a command runs: each new certificate, and each reason for which a renewal fails once.
 * @param initial of the identity at the start of the command
 */
export function reportRenewals(initial: Metadata, emit: Emit): KeeperEvents {
  let current = initial
  const reported = new Set<string>()
  return {
    onChange: ({ metadata }) => {
      const isRenewed = metadata.fingerprint !== current.fingerprint
      current = metadata
      if (!isRenewed) return
      reported.clear()
      emit({ type: 'notice', notice: 'certificate-renewed', profile: metadata.profile, notAfter: metadata.notAfter })
    },
    onError: (error) => {
      // The command has warned of a certificate that was already revoked.
      if (error instanceof CertificateRevokedError && initial.revokedAt !== null) return
      const key = keyOf(error)
      if (reported.has(key)) return
      reported.add(key)
      const { profile, notAfter } = current
      emit({ type: 'warning', warning: 'renewal-failed', profile, notAfter, cause: error.message })
    },
  }
}
