import { X509Certificate } from 'node:crypto'
import { AnswerLostError } from '../errors.js'
import { text } from '../json.js'
import { pemBlocks } from '../pki/pem.js'
import type { Answer } from '../transport/answer.js'
import type { HttpClient } from '../transport/client.js'
import { jsonObject, malformed } from './json-answer.js'

const what = 'the signed certificate'
/** Enough for a client certificate and the CAs above it: the gateway verifies chains to a depth of three (docs/contract.md §7). */
const maxCertificates = 10

export type SigningAnswer =
  | { readonly outcome: 'signed'; readonly certificates: readonly X509Certificate[] }
  | { readonly outcome: 'refused'; readonly answer: Answer }

/**
 * Sends a CSR to be signed, and returns every distinct certificate in the answer, in the order of the answer, unverified. The CSR is sent
 * again as long as no 201 was seen: only a 201 consumes a token (docs/contract.md §5).
 * @param csr PEM
 * @param onSigned called as soon as a 201 is seen: from then on a token is consumed, whatever else fails
 * @throws AnswerLostError when a 201 was seen but did not arrive completely; AnswerMalformedError and what the transport throws
 */
export async function requestSigning(
  http: HttpClient,
  url: URL,
  csr: string,
  onSigned: () => void,
): Promise<SigningAnswer> {
  let seenStatus = 0
  const onStatus = (status: number): void => {
    seenStatus = status
    if (status === 201) onSigned()
  }
  let answer: Answer
  try {
    answer = await http.send(
      {
        method: 'POST',
        url,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ csr: Buffer.from(csr).toString('base64') }),
      },
      'until-201',
      onStatus,
    )
  } catch (cause) {
    if (seenStatus !== 201) throw cause
    throw new AnswerLostError('the certificate was signed, but the answer did not arrive completely', { cause })
  }
  return answer.status === 201
    ? { outcome: 'signed', certificates: parseSignedCertificates(answer) }
    : { outcome: 'refused', answer }
}

/** Reads `crt`, `clientCrt` and `caCrt`, each base64 of PEM text with one or more certificates. */
export function parseSignedCertificates(answer: Answer): X509Certificate[] {
  const body = jsonObject(answer, what)
  const distinct = new Map<string, Uint8Array>()
  for (const name of ['crt', 'clientCrt', 'caCrt'] as const) {
    const encoded = text(body, name)
    if (encoded === undefined) throw malformed(answer, what, `lacks ${name}`)
    const ders = pemBlocks(Buffer.from(encoded, 'base64').toString('utf8'), 'CERTIFICATE')
    if (ders.length === 0) throw malformed(answer, what, `cannot be read: ${name} does not contain a PEM certificate`)
    for (const der of ders) distinct.set(Buffer.from(der).toString('base64'), der)
    // Counted before anything is parsed: a long chain would keep the processor busy for minutes.
    if (distinct.size > maxCertificates)
      throw malformed(answer, what, `holds more than ${maxCertificates} certificates`)
  }
  return [...distinct.values()].map((der) => {
    try {
      return new X509Certificate(der)
    } catch (cause) {
      throw malformed(answer, what, 'cannot be read: a PEM block is not an X.509 certificate', cause)
    }
  })
}
