import { nothingIn } from '../../identity/no-identity.js'
import { pairAgain } from '../../identity/pair-again.js'
import { daysLeft, isoSeconds } from '../../identity/identity.js'
import { formatPlace } from '../../registry/place.js'
import type { Notice, Step, StepFinished, Warning } from '../../progress.js'
import { validityEnd } from './validity.js'

/** The names of the steps, as people see them. */
export const stepNames: Readonly<Record<Step, string>> = {
  cluster: 'Cluster',
  'token-url': 'Token URL',
  'csr-info': 'CSR information',
  'private-key': 'Private key',
  certificate: 'Certificate',
  'management-info': 'Management info',
  revocation: 'Revocation',
}

/** The result of a step, to follow its name. */
export function describeStep(event: StepFinished, now: Date): string {
  switch (event.step) {
    case 'cluster':
      return `context ${event.context}, ${event.server}, namespace ${event.namespace}`
    case 'token-url':
      return `from ${event.host}, through the TokenRequest ${event.tokenRequest}`
    case 'csr-info':
      return event.subject
    case 'private-key':
      return `${event.source}, RSA ${event.bits ?? '?'}`
    case 'certificate': {
      const until = `valid until ${validityEnd(event.notAfter, daysLeft(event.notAfter, now))}`
      return event.directory === undefined ? until : `${until}, stored in ${event.directory}`
    }
    case 'management-info':
      return event.urlCount === 1 ? '1 URL' : `${event.urlCount} URLs`
    case 'revocation':
      return `accepted: the certificate works until ${isoSeconds(event.notAfter)}, and cannot be renewed`
  }
}

export function describeNotice(event: Notice): string {
  switch (event.notice) {
    case 'identity-replaced':
      return `the previous identity is kept: kyconnect rollback ${event.profile} restores it`
    case 'application-created':
      return `created the Application "${event.app}"`
    case 'certificate-renewed':
      return `the certificate of "${event.profile}" has been renewed: it is valid until ${isoSeconds(event.notAfter)}`
    case 'events-accepted':
      return 'events are being accepted again'
    case 'plugin-message':
      return `${event.plugin}: ${event.line}`
    case 'revoked-before':
      return `the certificate of "${event.profile}" has been marked as revoked since ${isoSeconds(event.since)}: it is revoked again, which does no harm`
    case 'events-continued': {
      const place = `continuing at line ${event.line} of ${event.input}`
      return event.mayRepeat
        ? `${place}; up to 1,024 events from there on may be sent again, with the same ids, because the run before did not end cleanly`
        : place
    }
    case 'waiting-for-gateway':
      return `the gateway refuses the new certificate, probably because its clock is slow: trying again for up to ${event.seconds} s`
  }
}

export function describeWarning(event: Warning): string {
  switch (event.warning) {
    case 'app-differs':
      return `the gateway reports that this certificate is for the App "${event.answered}", not "${event.app}"`
    case 'app-unverifiable':
      return `the certificate carries the id ${event.commonName}, as in newer clusters, so kyconnect cannot check that it is for "${event.app}"`
    case 'application-missing':
      return `the cluster has no Application "${event.app}": pairing works, but the App's own paths answer 404 until it exists (--create-app creates it)`
    case 'certificate-expiring':
      return `the certificate of "${event.profile}" ${event.revoked ? 'has been revoked, and ' : ''}${expiry(event.daysLeft, event.notAfter)}; ${
        event.daysLeft < 0 || event.revoked
          ? pairAgain(event.profile)
          : `renew it: kyconnect renew --profile ${event.profile}`
      }`
    case 'cluster-insecure':
      return `the kubeconfig says not to check the certificate of the cluster (insecure-skip-tls-verify, context "${event.context}"): anyone who intercepts the connection to ${event.server} can read the credentials`
    case 'events-retried':
      return `some events could not be sent and are being retried: ${event.cause}`
    case 'key-not-found':
      return `no event has a value at --key ${event.pointer}: events may have overtaken each other`
    case 'line-unfinished':
      return 'the last line has no line break and is not complete JSON yet: it is left for the next run'
    case 'no-pipelining':
      return 'the server drops requests that are sent together: each connection sends one at a time now'
    case 'deprecated':
      return `${event.used} is deprecated, and the next release removes it: run ${event.instead}`
    case 'expired-by-our-clock':
      return `by this machine's clock the certificate has expired (${isoSeconds(event.notAfter)}): the clock may be fast`
    case 'foreign-hosts-ignored':
      return `the gateway names URLs on another host (${event.hosts.join(', ')}): they are not stored and not called; if they are right, pair again with --force`
    case 'hook-not-recorded':
      return `the --exec command succeeded for "${event.profile}", but that could not be stored, so the next run repeats it: ${event.cause}`
    case 'insecure':
      return "--insecure: THE SERVER'S CERTIFICATE IS NOT CHECKED; anyone who intercepts the connection can read everything and pose as the cluster"
    case 'no-identity':
      return `${nothingIn(event.place)}, so there is nothing to renew: pair first, as the same user and with the same KYCONNECT_HOME`
    case 'no-management-info':
      return `the Connector did not name a URL for the management info, as in releases before 1.0: the identity is stored with the other URLs`
    case 'not-durable':
      return `the change is stored, but may not survive a power failure: ${event.cause}`
    case 'not-yet-valid-by-our-clock':
      return `by this machine's clock the certificate is valid only from ${isoSeconds(event.notBefore)}: the clock may be slow`
    case 'other-app-replaced':
      return `the identity "${event.profile}" is for the App "${event.from}", the new one is for "${event.to}"`
    case 'owner-ignored':
      return event.by === 'cluster'
        ? `--tenant "${event.tenant}" and --group "${event.group}" have no effect: the cluster did not store them in the TokenRequest, so it does not run in central mode`
        : `--tenant "${event.tenant}" and --group "${event.group}" had no effect: the certificate does not carry them, so the cluster does not run in central mode`
    case 'paired-insecurely':
      return "this identity was paired with --insecure: the cluster's certificate has never been checked"
    case 'renewal-failed':
      return `the certificate of "${event.profile}" could not be renewed, and is used until it expires on ${isoSeconds(event.notAfter)}: ${event.cause}`
    case 'stored-url-used':
      return `the management info cannot be used, so the stored URL is called: ${event.cause}`
    case 'target-url-scheme':
      return `${formatPlace(event)}: api.targetUrl of "${event.identifier}" has ${
        event.scheme === null ? 'no scheme' : `the scheme "${event.scheme}"`
      }: the Registry accepts it, but the cluster can call http:// and https:// URLs only`
    case 'token-request-left':
      return `the TokenRequest could not be deleted: ${event.cause}; delete it with: ${event.command}`
    case 'token-request-replaced':
      return `an existing TokenRequest "${event.app}", valid until ${isoSeconds(event.validUntil)}, is replaced: its token no longer works`
    case 'token-url-cleaned':
      return 'the token URL was cleaned: text, quotes, blanks, line breaks or backslashes around it or in it were removed'
    case 'token-url-in-arguments':
      return 'the token URL was given as an argument, which other users of this machine can see; pipe it in instead: kyconnect pair --url -'
    case 'unknown-key-algorithm':
      return `the service announces an unknown key algorithm, ${JSON.stringify(event.announced.slice(0, 40))}: using ${event.used}`
    case 'urls-not-stored':
      return event.cause === undefined
        ? 'the new URLs are not stored, because --insecure does not verify the server'
        : `the new URLs could not be stored: ${event.cause}`
  }
}

function expiry(left: number, notAfter: Date): string {
  const end = validityEnd(notAfter, left)
  if (left < 0) return left === -1 ? `expired at ${end}` : `expired on ${end}`
  if (left === 0) return `expires at ${end}, in less than a day`
  return `expires on ${end}, ${left === 1 ? 'in 1 day' : `in ${left} days`}`
}
