import { createPublicKey, type KeyObject } from 'node:crypto'
import { DerError, readDer, readMembers, TAG } from './der.js'
import { readSubject, type Subject } from './distinguished-name.js'
import { signatureAlgorithm, verificationError, type SignatureAlgorithm } from './signature-algorithm.js'

/** A PKCS#10 request whose signature is not checked yet. */
export interface SigningRequest {
  readonly subject: Subject
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer
  /** The bytes that the signature covers. */
  readonly signed: Buffer
  /** An AlgorithmIdentifier, DER. */
  readonly algorithm: Buffer
  readonly signature: Buffer
}

/** @throws DerError with the message of Go's parser where it was recorded */
export function parseSigningRequest(der: Buffer): SigningRequest {
  const [outer, ...trailing] = readDer(der)
  if (trailing.length > 0) throw new DerError('asn1: syntax error: trailing data')
  const [info, algorithm, signature] = readMembers(outer, TAG.sequence, 3)
  const [version, subject, publicKey] = readMembers(info, TAG.sequence, 3)
  if (
    version?.tag !== TAG.integer ||
    publicKey?.tag !== TAG.sequence ||
    algorithm?.tag !== TAG.sequence ||
    signature?.tag !== TAG.bitString ||
    info === undefined
  ) {
    throw new DerError("asn1: structure error: tags don't match")
  }
  return {
    subject: readSubject(subject),
    publicKey: publicKey.bytes,
    signed: info.bytes,
    algorithm: algorithm.bytes,
    signature: signature.contents.subarray(1),
  }
}

/** The algorithm of a request whose signature verifies with its own key, or Go's reason for refusing the request. */
export function checkSignature(request: SigningRequest): SignatureAlgorithm | { readonly refused: string } {
  const algorithm = signatureAlgorithm(request.algorithm)
  if ('refused' in algorithm) return algorithm
  const key = publicKeyOf(request.publicKey)
  if (key === undefined) return { refused: 'x509: cannot verify signature: algorithm unimplemented' }
  const error = verificationError(algorithm, key, request.signed, request.signature)
  return error === undefined ? algorithm : { refused: error }
}

function publicKeyOf(spki: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch {
    return undefined
  }
}
