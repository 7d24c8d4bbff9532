import { ServiceFailedError, TokenRejectedError, UntrustedUrlError } from '../errors.js'
import { type DistinguishedName, parseAnnouncedSubject } from '../pki/distinguished-name.js'
import type { Answer, HttpClient } from '../transport/client.js'
import { refusalError } from '../transport/refusal.js'
import { serverText } from '../transport/server-text.js'
import { type EndpointUrls, parseEndpointUrls } from './endpoint-urls.js'
import { member, text } from '../json.js'
import { jsonObject, malformed } from './json-answer.js'

/** What a Connector Service tells the holder of a one-time token (docs/contract.md §4). */
export interface CsrInfo {
  /** Where the CSR goes, with the second token in its query. Of the token URL's origin. */
  readonly csrUrl: URL
  /** The subject as it was announced, to show. */
  readonly subjectText: string
  readonly subject: DistinguishedName
  /** As announced: `rsa2048`, or something this program may not know. */
  readonly keyAlgorithm: string
  readonly urls: EndpointUrls
  /** Host of the mutual-TLS gateway. */
  readonly gatewayHost: string
}

const what = 'the CSR information'

/**
 * Asks for the CSR information. A success consumes the token, so this is never sent twice.
 * @throws TokenRejectedError, UntrustedUrlError (csrUrl of another origin, two gateways), AnswerMalformedError and whatever the transport throws
 */
export async function fetchCsrInfo(http: HttpClient, tokenUrl: URL): Promise<CsrInfo> {
  const answer = await http.send({ method: 'GET', url: tokenUrl }, 'never')
  if (answer.status === 403) throw tokenRejected(answer)
  if (answer.status === 500 && answer.body.includes('"csrUrl"')) {
    throw new ServiceFailedError(
      `${answer.url.host} failed with a 500 after it had taken the token: ${serverText(answer.body, answer.contentType)}`,
      { hints: ['the token is spent: ask the administrator to look at the service, and for a new token URL'] },
    )
  }
  if (answer.status !== 200) throw refusalError(answer, what)
  return parseCsrInfo(answer, tokenUrl)
}

/** A 403 on either token URL: missing, unknown, used or expired, the service does not say which. */
export function tokenRejected(answer: Answer): TokenRejectedError {
  return new TokenRejectedError(
    `the one-time token was refused (403 "${serverText(answer.body, answer.contentType)}"): it is missing, unknown, already used or older than 5 minutes`,
    {
      hints: ['ask the administrator for a new token URL, then: kyconnect pair --url -'],
      details: { status: answer.status, host: answer.url.host, path: answer.url.pathname },
    },
  )
}

/** Parses the answer of the token URL. Fields this program does not know are passed over. */
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
    ...(urls.infoUrl === undefined ? ['api.infoUrl'] : []),
  ]
  if (csrUrlText === undefined || subjectText === undefined || keyAlgorithm === undefined || missing.length > 0) {
    throw malformed(answer, what, `lacks ${missing.join(', ')}`)
  }
  if (!URL.canParse(csrUrlText)) throw malformed(answer, what, 'has a csrUrl that is no URL')
  const csrUrl = new URL(csrUrlText)
  if (csrUrl.origin !== tokenUrl.origin) {
    throw new UntrustedUrlError(
      `the csrUrl is of ${csrUrl.origin}, not of ${tokenUrl.origin} as the token URL: no CSR was sent`,
      {
        hints: ['tell the administrator of the cluster', 'the token is spent, a new one is needed'],
      },
    )
  }
  const subject = parseAnnouncedSubject(subjectText)
  if (subject === undefined) throw malformed(answer, what, `has a subject that is no distinguished name`)
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
 * The gateway is the one host among the answer's URLs that is not the token URL's own: 0.x answers name an infoUrl on the
 * Connector's host, and every answer a certificatesUrl there.
 */
function gatewayHostOf(api: object, tokenUrl: URL, answer: Answer): string {
  const hosts = new Set(
    Object.values(api)
      .filter((url): url is string => typeof url === 'string' && URL.canParse(url))
      .map((url) => new URL(url).hostname)
      .filter((host) => host !== tokenUrl.hostname),
  )
  const [host, another] = [...hosts]
  if (host === undefined) throw malformed(answer, what, 'names no gateway')
  if (another !== undefined) {
    throw new UntrustedUrlError(`${answer.url.host} names two gateways, ${host} and ${another}: no CSR was sent`, {
      hints: ['tell the administrator of the cluster', 'the token is spent, a new one is needed'],
    })
  }
  return host
}
