import { X509Certificate } from 'node:crypto'
import { AnswerLostError, TokenRejectedError } from '../errors.js'
import { pemBlocks } from '../pki/pem.js'
import type { Answer, HttpClient } from '../transport/client.js'
import { refusalError } from '../transport/refusal.js'
import { tokenRejected } from './csr-info.js'
import { text } from '../json.js'
import { jsonObject, malformed } from './json-answer.js'

const what = 'the signed certificate'

/**
 * Sends a CSR to be signed and returns every certificate that came back, in the order of the answer, unverified.
 * Sent again as long as no 201 was seen: only a 201 consumes the token (docs/contract.md §5).
 * @param csr PEM
 * @param sentBefore whether an earlier run may have sent it already
 * @param onSigned told as soon as a 201 is seen: from then on the token is spent, whatever else fails
 * @throws TokenRejectedError, AnswerLostError (a 201, but the answer did not arrive whole), AnswerMalformedError and whatever the transport throws
 */
export async function requestSigning(
  http: HttpClient,
  csrUrl: URL,
  csr: string,
  sentBefore: boolean,
  onSigned: () => void,
): Promise<X509Certificate[]> {
  const seen = { status: 0 }
  const onStatus = (status: number): void => {
    seen.status = status
    if (status === 201) onSigned()
  }
  let answer: Answer
  try {
    answer = await http.send(
      {
        method: 'POST',
        url: csrUrl,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ csr: Buffer.from(csr).toString('base64') }),
      },
      'until-201',
      onStatus,
    )
  } catch (cause) {
    if (seen.status !== 201) throw cause
    throw new AnswerLostError('the certificate was signed, but the answer did not arrive whole', {
      cause,
      hints: ['the token is spent: ask the administrator for a new token URL, then: kyconnect pair --url -'],
    })
  }
  if (answer.status === 403) throw sentBefore || answer.attempts > 1 ? sentAgain(answer) : tokenRejected(answer)
  if (answer.status !== 201) throw refusalError(answer, 'the certificate signing request')
  return parseSignedCertificates(answer)
}

/** A refusal of a CSR that was sent before without an answer: it may have been signed, or its 5 minutes are over. */
function sentAgain(answer: Answer): TokenRejectedError {
  return new TokenRejectedError(
    'the one-time token was refused when the certificate signing request was sent again: it is older than 5 minutes, or it was signed the first time and the answer was lost',
    {
      hints: ['get a new token URL from the administrator, then: kyconnect pair --url -'],
      details: { status: answer.status, host: answer.url.host, attempts: answer.attempts },
    },
  )
}

/** Reads `crt`, `clientCrt` and `caCrt`, each base64 of PEM text with one or more certificates. */
export function parseSignedCertificates(answer: Answer): X509Certificate[] {
  const body = jsonObject(answer, what)
  const fields = ['crt', 'clientCrt', 'caCrt'] as const
  const missing = fields.filter((name) => text(body, name) === undefined)
  if (missing.length > 0) throw malformed(answer, what, `lacks ${missing.join(', ')}`)
  return fields.flatMap((name) => {
    const ders = pemBlocks(Buffer.from(text(body, name) ?? '', 'base64').toString('utf8'), 'CERTIFICATE')
    if (ders.length === 0) throw malformed(answer, what, `is unreadable: ${name} holds no certificate in PEM`)
    return ders.map((der) => {
      try {
        return new X509Certificate(der)
      } catch (cause) {
        throw malformed(answer, what, `is unreadable: ${name} holds no X.509 certificate`, cause)
      }
    })
  })
}
