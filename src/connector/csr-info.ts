import { NetworkError, ServiceFailedError, TimeoutError, TokenRejectedError, UntrustedUrlError } from '../errors.js'
import { type DistinguishedName, parseAnnouncedSubject } from '../pki/distinguished-name.js'
import type { Answer } from '../transport/answer.js'
import type { HttpClient } from '../transport/client.js'
import { refusalError } from '../transport/refusal.js'
import { serverText } from '../transport/server-text.js'
import { type EndpointUrls, parseEndpointUrls } from './endpoint-urls.js'
import { member, text } from '../json.js'
import { jsonObject, malformed } from './json-answer.js'

/** What a Connector Service answers to a one-time token (docs/contract.md §4). */
export interface CsrInfo {
  /** The URL to send the CSR to, with the second token in its query. It has the origin of the token URL. */
  readonly csrUrl: URL
  /** The subject as it was announced, for display. */
  readonly subjectText: string
  readonly subject: DistinguishedName
  /** As announced: `rsa2048`, or a name that kyconnect may not know. */
  readonly keyAlgorithm: string
  readonly urls: EndpointUrls
  /** Host of the mutual-TLS gateway; null when no URL names it. */
  readonly gatewayHost: string | null
}

const what = 'the CSR information'
const probablyConsumed =
  'ask the administrator for a new token URL, because the token is probably consumed, then run: kyconnect pair --url -'

/**
 * Asks for the CSR information. A success consumes the token, so the request is never sent twice.
 * @throws TokenRejectedError, UntrustedUrlError (csrUrl of another origin, two gateways), AnswerMalformedError and whatever the transport throws
 */
export async function fetchCsrInfo(http: HttpClient, tokenUrl: URL): Promise<CsrInfo> {
  const answer = await http.send({ method: 'GET', url: tokenUrl }, 'never').catch((error: unknown) => {
    throw (error instanceof NetworkError || error instanceof TimeoutError) && error.requestSent
      ? error.addHint(probablyConsumed)
      : error
  })
  if (answer.status === 403) throw tokenRejected(answer)
  if (answer.status === 500 && answer.body.includes('"csrUrl"')) {
    throw new ServiceFailedError(
      `${answer.url.host} failed after it consumed the token (500): ${serverText(answer.body, answer.contentType)}`,
      { hints: ['ask the administrator to check the service, and for a new token URL'] },
    )
  }
  if (answer.status !== 200) {
    const refusal = refusalError(answer, what)
    // A gateway in front may have lost the service's answer after the token was consumed.
    throw answer.status === 502 || answer.status === 504 ? refusal.addHint(probablyConsumed) : refusal
  }
  return parseCsrInfo(answer, tokenUrl)
}

/** The error for a 403 on either token URL: the service does not say whether the token is missing, unknown, used or expired. */
export function tokenRejected(answer: Answer): TokenRejectedError {
  return new TokenRejectedError(
    `the one-time token was refused (403 "${serverText(answer.body, answer.contentType)}"): it is missing, unknown, already used or older than 5 minutes`,
    {
      hints: ['ask the administrator for a new token URL, then run: kyconnect pair --url -'],
      details: { status: answer.status, host: answer.url.host, path: answer.url.pathname },
    },
  )
}

/** Parses the answer of the token URL. Unknown fields are ignored; 0.x releases leave out URLs. */
export function parseCsrInfo(answer: Answer, tokenUrl: URL): CsrInfo {
  const body = jsonObject(answer, what)
  const certificate = member(body, 'certificate')
  const csrUrlText = text(body, 'csrUrl')
  const subjectText = text(certificate, 'subject')
  const keyAlgorithm = text(certificate, 'key-algorithm')
  const urls = parseEndpointUrls(member(body, 'api'))
  const missing = [
    ...(csrUrlText === undefined ? ['csrUrl'] : []),
    ...(subjectText === undefined ? ['certificate.subject'] : []),
    ...(keyAlgorithm === undefined ? ['certificate.key-algorithm'] : []),
  ]
  if (csrUrlText === undefined || subjectText === undefined || keyAlgorithm === undefined || missing.length > 0) {
    throw malformed(answer, what, `lacks ${missing.join(', ')}`)
  }
  if (!URL.canParse(csrUrlText)) throw malformed(answer, what, 'has a csrUrl that is not a URL')
  const csrUrl = new URL(csrUrlText)
  if (csrUrl.origin !== tokenUrl.origin) {
    throw new UntrustedUrlError(
      `the csrUrl is on ${csrUrl.origin}, and the token URL on ${tokenUrl.origin}: no CSR was sent`,
      {
        hints: ['inform the administrator of the cluster, and ask for a new token URL: the token is consumed'],
      },
    )
  }
  const subject = parseAnnouncedSubject(subjectText)
  if (subject === undefined) throw malformed(answer, what, 'has a subject that is not a distinguished name')
  return {
    csrUrl,
    subjectText,
    subject,
    keyAlgorithm,
    urls,
    gatewayHost: gatewayHostOf(member(body, 'api'), tokenUrl, answer),
  }
}

/**
 * The gateway is the one host among the answer's URLs that is not the token URL's own: every answer names a certificatesUrl on the
 * Connector's host, and 0.x answers name their infoUrl there too.
 */
function gatewayHostOf(api: object, tokenUrl: URL, answer: Answer): string | null {
  const hosts = new Set(
    Object.values(api)
      .filter((url): url is string => typeof url === 'string' && URL.canParse(url))
      .map((url) => new URL(url).hostname)
      .filter((host) => host !== tokenUrl.hostname),
  )
  const [host, another] = [...hosts]
  if (another !== undefined) {
    throw new UntrustedUrlError(`${answer.url.host} names two gateways, ${host} and ${another}: no CSR was sent`, {
      hints: ['inform the administrator of the cluster, and ask for a new token URL: the token is consumed'],
    })
  }
  return host ?? null
}
