import { constants, sign, verify, type KeyObject } from 'node:crypto'
import { derInteger, derNull, derOid, derSequence, derValue } from './der.js'

/** How a signing request is signed. Its certificate is signed the same way, if the CA's RSA key can (docs/contract.md §5). */
export interface SignatureAlgorithm {
  readonly key: 'rsa' | 'ec' | 'ed25519'
  /** Digest name of node:crypto; null where the scheme includes one. */
  readonly digest: string | null
  /** For RSA-PSS only. */
  readonly saltBytes?: number
  /** The AlgorithmIdentifier. */
  readonly der: Buffer
}

const rsa = (oid: string, digest: string): SignatureAlgorithm => ({
  key: 'rsa',
  digest,
  der: derSequence(derOid(oid), derNull),
})

/** Go knows only a salt that is as long as the digest. */
function pss(hashOid: string, digest: string, saltBytes: number): SignatureAlgorithm {
  const hash = derSequence(derOid(hashOid), derNull)
  const parameters = derSequence(
    derValue(0xa0, hash),
    derValue(0xa1, derSequence(derOid('1.2.840.113549.1.1.8'), hash)),
    derValue(0xa2, derInteger(Buffer.from([saltBytes]))),
  )
  return { key: 'rsa', digest, saltBytes, der: derSequence(derOid('1.2.840.113549.1.1.10'), parameters) }
}

const ecdsa = (oid: string, digest: string): SignatureAlgorithm => ({
  key: 'ec',
  digest,
  der: derSequence(derOid(oid)),
})

export const RSA_SHA256 = rsa('1.2.840.113549.1.1.11', 'sha256')
export const ECDSA_SHA256 = ecdsa('1.2.840.10045.4.3.2', 'sha256')
const MD5_RSA = rsa('1.2.840.113549.1.1.4', 'md5')

const known: readonly SignatureAlgorithm[] = [
  rsa('1.2.840.113549.1.1.5', 'sha1'),
  RSA_SHA256,
  rsa('1.2.840.113549.1.1.12', 'sha384'),
  rsa('1.2.840.113549.1.1.13', 'sha512'),
  pss('2.16.840.1.101.3.4.2.1', 'sha256', 32),
  pss('2.16.840.1.101.3.4.2.2', 'sha384', 48),
  pss('2.16.840.1.101.3.4.2.3', 'sha512', 64),
  ecdsa('1.2.840.10045.4.1', 'sha1'),
  ECDSA_SHA256,
  ecdsa('1.2.840.10045.4.3.3', 'sha384'),
  ecdsa('1.2.840.10045.4.3.4', 'sha512'),
  { key: 'ed25519', digest: null, der: derSequence(derOid('1.3.101.112')) },
]

/** The algorithm of an AlgorithmIdentifier, or Go's reason for refusing it. */
export function signatureAlgorithm(der: Buffer): SignatureAlgorithm | { readonly refused: string } {
  if (der.equals(MD5_RSA.der)) return { refused: 'x509: cannot verify signature: insecure algorithm MD5-RSA' }
  return (
    known.find((algorithm) => algorithm.der.equals(der)) ?? {
      refused: 'x509: cannot verify signature: algorithm unimplemented',
    }
  )
}

function keyInput(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
): { key: KeyObject; padding?: number; saltLength?: number } {
  return algorithm.saltBytes === undefined
    ? { key }
    : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: algorithm.saltBytes }
}

export function signWith(algorithm: SignatureAlgorithm, key: KeyObject, data: Buffer): Buffer {
  return sign(algorithm.digest, data, keyInput(algorithm, key))
}

/** Go's error for a signature that does not verify; undefined for one that does. */
export function verificationError(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  data: Buffer,
  signature: Buffer,
): string | undefined {
  const matches =
    key.asymmetricKeyType === algorithm.key && verify(algorithm.digest, data, keyInput(algorithm, key), signature)
  if (matches) return undefined
  return {
    rsa: 'crypto/rsa: verification error',
    ec: 'x509: ECDSA verification failure',
    ed25519: 'x509: Ed25519 verification failure',
  }[algorithm.key]
}
