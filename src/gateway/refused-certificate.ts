import { ClientCertificateRefusedError, NetworkError } from '../errors.js'
import { isoSeconds, type Metadata } from '../identity/identity.js'
import { pairAgain } from '../identity/pair-again.js'
import { brokenConnection } from '../transport/retry.js'

/**
 * Adds to the error for a client certificate that was, or may have been, refused what is known about it: its dates, and the profile to
 * pair again. Any other error stays as it is.
 */
export function explainRefusal(error: unknown, { notBefore, notAfter, profile }: Metadata, now: Date): unknown {
  // With TLS 1.3 some gateways only close the connection (docs/contract.md §7).
  const closed = error instanceof NetworkError && brokenConnection.has(error.reason ?? '')
  if (!closed && !(error instanceof ClientCertificateRefusedError)) return error
  const dates =
    notAfter < now
      ? `the client certificate expired on ${isoSeconds(notAfter)}`
      : notBefore > now
        ? `by this machine's clock the client certificate is valid only from ${isoSeconds(notBefore)}`
        : `the client certificate is valid until ${isoSeconds(notAfter)}: check that it is from this cluster, and that the cluster's CA has not changed`
  if (closed) return error.addHint(dates)
  return error.replaceHints(dates, pairAgain(profile))
}

/** Whether the gateway refused the certificate, or may have done so by closing the connection. */
export function mayBeRefusal(error: unknown): boolean {
  return (
    error instanceof ClientCertificateRefusedError ||
    (error instanceof NetworkError && brokenConnection.has(error.reason ?? ''))
  )
}
