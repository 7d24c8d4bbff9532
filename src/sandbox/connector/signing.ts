import { certificatePem, type Authority } from '../pki/authority.js'
import { DerError } from '../pki/der.js'
import type { AttributeName, Subject } from '../pki/distinguished-name.js'
import { issueClientCertificate } from '../pki/issue.js'
import { errorAnswer, jsonAnswer, type Answer } from '../http/exchange.js'
import { JsonSyntaxError, marshal, unmarshal, type JsonNode } from '../go/json.js'
import { goString, textOf, typeError, type GoType } from '../go/struct.js'
import { firstPemBlock, isBase64 } from '../pki/pem.js'
import { expectedSubject, type ClientContext, type ExpectedSubject } from './client-context.js'
import { checkSignature, parseSigningRequest, type SigningRequest } from '../pki/signing-request.js'

const CSR_BODY: GoType = { kind: 'struct', name: 'externalapi.certRequest', fields: { csr: goString } }

export interface Signer {
  readonly authority: Authority
  /** How long a certificate is valid. */
  readonly validitySeconds: number
  readonly now: () => Date
}

/** Answers a body `{"csr":...}`: 201 with the certificates, or the error of the first check that fails (docs/contract.md §5). */
export function answerSigningRequest(body: Buffer, context: ClientContext, signer: Signer): Answer {
  const json = readBody(body)
  if (typeof json === 'string') return errorAnswer(500, `Error while unmarshalling request body: ${json}`)
  const base64 = textOf(json, 'csr').replace(/[\r\n]/g, '')
  if (!isBase64(base64)) {
    return errorAnswer(400, 'There was an error while parsing the base64 content. An incorrect value was provided.')
  }
  const der = firstPemBlock(Buffer.from(base64, 'base64').toString('latin1'))
  if (der === undefined) return errorAnswer(400, 'Error while decoding pem block.')
  const request = parse(der)
  if (typeof request === 'string') return errorAnswer(400, `Error while parsing CSR: ${request}`)
  const algorithm = checkSignature(request)
  if ('refused' in algorithm) return errorAnswer(400, `CSR signature invalid: ${algorithm.refused}`)
  const wrong = subjectError(request.subject, expectedSubject(context))
  if (wrong !== undefined) return errorAnswer(400, `CSR: ${wrong} provided.`)
  if (algorithm.key !== 'rsa') {
    return errorAnswer(
      500,
      'Error while creating certificate: x509: requested SignatureAlgorithm does not match private key type',
    )
  }
  const client = issueClientCertificate(signer.authority, request, algorithm, signer.now(), signer.validitySeconds)
  const authority = certificatePem(signer.authority)
  const encode = (pem: string): string => Buffer.from(pem).toString('base64')
  return jsonAnswer(
    201,
    marshal({ crt: encode(client + authority), clientCrt: encode(client), caCrt: encode(authority) }),
  )
}

/** The body's JSON, or Go's complaint. */
function readBody(body: Buffer): JsonNode | string {
  try {
    const json = unmarshal(body)
    return typeError(json, CSR_BODY) ?? json
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.message
    throw error
  }
}

function parse(der: Buffer): SigningRequest | string {
  try {
    return parseSigningRequest(der)
  } catch (error) {
    if (error instanceof DerError) return error.message
    throw error
  }
}

const CHECKED: readonly (readonly [Exclude<keyof ExpectedSubject & AttributeName, 'CN'>, string])[] = [
  ['C', 'country'],
  ['O', 'organization'],
  ['OU', 'organizational unit'],
  ['L', 'locality'],
  ['ST', 'province'],
]

/** Compares the last CN and the first value of each other attribute; attributes that are not expected are ignored. */
function subjectError(subject: Subject, expected: ExpectedSubject): string | undefined {
  if (subject.CN.at(-1) !== expected.CN) return 'Invalid common name'
  for (const [attribute, what] of CHECKED) {
    const [value] = subject[attribute]
    if (value === undefined) return `No ${what}`
    if (value !== expected[attribute]) return `Invalid ${what}`
  }
  return undefined
}
