import { UntrustedUrlError } from '../errors.js'
import { oneLine, type Redactor } from '../redaction.js'

/** A redirect's target as a message may show it. */
export function showRedirect(location: string, redactor: Redactor): string {
  return redactor.redact(oneLine(location)).slice(0, 500)
}

/** The error for a redirect that leaves the origin. @param location as the server wrote it, or the URL that it leads to */
export function redirectRefused(origin: string, location: string, redactor: Redactor): UntrustedUrlError {
  return new UntrustedUrlError(
    `${origin} redirects to another origin, ${showRedirect(location, redactor)}: not followed`,
    {
      hints: [
        'inform the administrator of the cluster about the redirect: a client certificate is presented to its own gateway only',
      ],
    },
  )
}
