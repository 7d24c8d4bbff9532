import { AnswerMalformedError, type KyconnectError, RequestRefusedError, ServiceFailedError } from '../errors.js'
import { clientCertificateRefused } from './failure.js'
import { serverText } from './server-text.js'

/** The parts of an answer that tell why it is a refusal. */
export interface Refusal {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly url: URL
}

/** NGINX's two pages for a client certificate that is missing or was not accepted (docs/contract.md §7). */
const certificatePage = /No required SSL certificate was sent|The SSL certificate error/

/**
 * The meaning of an unsuccessful status, where the endpoint has no better one: a refused client certificate, a 4xx, a
 * 5xx, or a redirect where none belongs. `what` names what was asked for ("the management info").
 */
export function refusalError(answer: Refusal, what: string): KyconnectError {
  const { status, contentType, body, url } = answer
  const said = serverText(body, contentType)
  const saying = said === '' ? `${status}` : `${status} "${said}"`
  const details = { status, host: url.host, path: url.pathname, body: said }
  const page = certificatePage.exec(body)?.[0]
  if (status === 400 && page !== undefined)
    return clientCertificateRefused(`${status} "${page}"`, url.host, { details })
  if (status >= 500) {
    return new ServiceFailedError(`${url.host} failed on ${what}: ${saying}`, {
      details,
      hints: ['the fault is on the side of the service: try again later, and tell the administrator if it stays'],
    })
  }
  if (status >= 400)
    return new RequestRefusedError(`${url.host} refused ${what}: ${saying}`, {
      details,
      hints: [refusedHint(answer, said)],
    })
  return new AnswerMalformedError(`${url.host} answered ${what} with an unexpected ${saying}`, {
    details,
    hints: ['check that the URL is the right one, and what runs in front of the service'],
  })
}

function refusedHint({ status, body, contentType }: Refusal, said: string): string {
  if (status === 403 && contentType.includes('html')) {
    return 'the certificate is for another App than the one in the path: see "kyconnect info"'
  }
  if (status === 404 && body.startsWith('default backend')) {
    return 'the gateway knows no such path: the App may not exist in the cluster (yet), or its URLs have changed: run "kyconnect info"'
  }
  if (status === 413) return 'the body is too large for the service'
  return said === ''
    ? 'run the command again with --verbose to see the exchange'
    : "the text above is the service's own; run the command again with --verbose to see the exchange"
}
