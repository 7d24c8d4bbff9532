import { AnswerMalformedError, type KyconnectError, RequestRefusedError, ServiceFailedError } from '../errors.js'
import { clientCertificateRefused } from './failure.js'
import { serverText } from './server-text.js'

/** The parts of an answer that explain a refusal. */
export interface Refusal {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly url: URL
}

/** NGINX's two pages for a client certificate that is missing or was not accepted (docs/contract.md §7). */
const certificatePage = /No required SSL certificate was sent|The SSL certificate error/

/**
 * The error for an unsuccessful status, where the endpoint has no more specific one: a refused client certificate, a 4xx, a
 * 5xx, or an unexpected redirect. @param what names the request in the message ("the management info")
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
      hints: ['try again later, and inform the administrator if it fails again: the error is in the service'],
    })
  }
  if (status >= 400)
    return new RequestRefusedError(`${url.host} refused ${what}: ${saying}`, {
      details,
      hints: [refusedHint(answer, said)],
    })
  return new AnswerMalformedError(`${url.host} answered ${what} with an unexpected ${saying}`, {
    details,
    hints: ['check the URL, and what runs in front of the service'],
  })
}

function refusedHint({ status, body, contentType }: Refusal, said: string): string {
  if (status === 403 && contentType.includes('html')) {
    return 'check the App in the path, because the certificate is for another App: kyconnect info'
  }
  if (status === 404 && body.startsWith('default backend')) {
    return 'check that the App exists in the cluster, and read its URLs again: kyconnect info'
  }
  if (status === 413) return 'send a smaller body: this one is too large for the service'
  return said === ''
    ? 'run the command again with --verbose to see the exchange'
    : 'run the command again with --verbose to see the exchange; the quoted text is from the service'
}
