/** X.509 certificates (RFC 5280): their structure, their extensions and their signature. */
import { createHash, randomBytes, type KeyObject, type X509Certificate } from 'node:crypto'
import {
  derBitString,
  derInteger,
  derOid,
  derSequence,
  derTime,
  derValue,
  readFirstDer,
  readMembers,
  TAG,
} from './der.js'
import { signWith, type SignatureAlgorithm } from './signature-algorithm.js'

export interface CertificateContents {
  /** 1 is a certificate without version field and extensions. */
  readonly version: 1 | 3
  /** 16 random bytes by default. */
  readonly serial?: Buffer
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly notBefore: Date
  readonly lifetimeSeconds: number
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer
  readonly extensions: readonly Buffer[]
}

/** The certificate, DER. */
export function signCertificate(contents: CertificateContents, algorithm: SignatureAlgorithm, key: KeyObject): Buffer {
  const notAfter = new Date(contents.notBefore.getTime() + contents.lifetimeSeconds * 1000)
  const v3 = contents.version === 3
  const toBeSigned = derSequence(
    ...(v3 ? [derValue(0xa0, derInteger(Buffer.from([2])))] : []),
    derInteger(contents.serial ?? randomSerial()),
    algorithm.der,
    contents.issuer,
    derSequence(derTime(contents.notBefore), derTime(notAfter)),
    contents.subject,
    contents.publicKey,
    ...(v3 ? [derValue(0xa3, derSequence(...contents.extensions))] : []),
  )
  return derSequence(toBeSigned, algorithm.der, derBitString(signWith(algorithm, key, toBeSigned)))
}

/** 16 bytes, positive and not 0. */
const randomSerial = (): Buffer => Buffer.concat([Buffer.from([0x10]), randomBytes(15)])

export const spki = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' })

/** The bytes of a certificate's subject. An issuer repeats them as they are, never re-encoded. */
export function subjectBytes(certificate: X509Certificate): Buffer {
  const [toBeSigned] = readMembers(readFirstDer(certificate.raw), TAG.sequence, 3)
  const fields = readMembers(toBeSigned, TAG.sequence, 6)
  const first = fields[0]?.tag === 0xa0 ? 1 : 0
  return fields[first + 4]?.bytes ?? Buffer.alloc(0)
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [derValue(TAG.boolean, Buffer.from([0xff]))] : []
  return derSequence(derOid(oid), ...flag, derValue(TAG.octetString, value))
}

export const basicConstraintsCa = extension('2.5.29.19', true, derSequence(derValue(TAG.boolean, Buffer.from([0xff]))))

/** `bits` counts from the highest: 0x80 is digitalSignature, 0x06 is keyCertSign and cRLSign. */
export function keyUsage(bits: number): Buffer {
  const unused = Math.log2(bits & -bits)
  return extension('2.5.29.15', true, derValue(TAG.bitString, Buffer.from([unused, bits])))
}

export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
export const extendedKeyUsage = (purpose: string): Buffer => extension('2.5.29.37', false, derSequence(derOid(purpose)))

/** Strict verifiers demand the key identifiers on both ends of a chain. */
const keyIdentifier = (key: Buffer): Buffer => createHash('sha1').update(key).digest()
export const subjectKeyIdentifier = (key: Buffer): Buffer =>
  extension('2.5.29.14', false, derValue(TAG.octetString, keyIdentifier(key)))
export const authorityKeyIdentifier = (key: Buffer): Buffer =>
  extension('2.5.29.35', false, derSequence(derValue(0x80, keyIdentifier(key))))

/** DNS names and IPv4 addresses. */
export const subjectAlternativeName = (names: readonly string[], addresses: readonly string[]): Buffer =>
  extension(
    '2.5.29.17',
    false,
    derSequence(
      ...names.map((name) => derValue(0x82, Buffer.from(name))),
      ...addresses.map((address) => derValue(0x87, Buffer.from(address.split('.').map(Number)))),
    ),
  )
