import {
  createHash,
  createPrivateKey,
  generateKeyPair,
  randomBytes,
  X509Certificate,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import {
  derBitString,
  derInteger,
  derOid,
  derSequence,
  derTime,
  derValue,
  readMembers,
  readFirstDer,
  TAG,
} from './der.js'
import { encodeNameInOrder, encodeSubject, type Subject } from './distinguished-name.js'
import { toPem } from './pem.js'
import { ECDSA_SHA256, RSA_SHA256, signWith, type SignatureAlgorithm } from './signature-algorithm.js'

/**
 * The sandbox has two authorities, as a local Kyma has: one signs client certificates (RSA and X.509 v1, as Kyma's own, though in
 * date; contract §5), the other the server certificates of both hosts (§0). A client that trusts the second need not know the first.
 */
export interface Authority {
  readonly certificate: X509Certificate
  readonly key: KeyObject
}

const DAY = 24 * 60 * 60
const AUTHORITY_LIFE = 3650 * DAY
const SERVER_LIFE = 397 * DAY
const CREDENTIAL_LIFE = 365 * DAY

const generate = promisify(generateKeyPair)
const rsaKeys = (): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> => generate('rsa', { modulusLength: 2048 })
const ecKeys = (): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> => generate('ec', { namedCurve: 'P-256' })

interface Contents {
  /** 1: without version field and extensions. */
  readonly version: 1 | 3
  readonly serial: Buffer
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly notBefore: Date
  /** Seconds. */
  readonly life: number
  readonly publicKey: Buffer
  readonly extensions: readonly Buffer[]
}

function signCertificate(contents: Contents, algorithm: SignatureAlgorithm, key: KeyObject): Buffer {
  const notAfter = new Date(contents.notBefore.getTime() + contents.life * 1000)
  const v3 = contents.version === 3
  const toBeSigned = derSequence(
    ...(v3 ? [derValue(0xa0, derInteger(Buffer.from([2])))] : []),
    derInteger(contents.serial),
    algorithm.der,
    contents.issuer,
    derSequence(derTime(contents.notBefore), derTime(notAfter)),
    contents.subject,
    contents.publicKey,
    ...(v3 ? [derValue(0xa3, derSequence(...contents.extensions))] : []),
  )
  return derSequence(toBeSigned, algorithm.der, derBitString(signWith(algorithm, key, toBeSigned)))
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [derValue(TAG.boolean, Buffer.from([0xff]))] : []
  return derSequence(derOid(oid), ...flag, derValue(TAG.octetString, value))
}

/** `bits` counts from the highest: 0x80 is digitalSignature, 0x06 keyCertSign and cRLSign. */
function keyUsage(bits: number): Buffer {
  const unused = Math.log2(bits & -bits)
  return extension('2.5.29.15', true, derValue(TAG.bitString, Buffer.from([unused, bits])))
}

/** What strict verifiers want on both ends of a chain. */
const keyIdentifier = (key: Buffer): Buffer => createHash('sha1').update(key).digest()
const subjectKeyIdentifier = (key: Buffer): Buffer =>
  extension('2.5.29.14', false, derValue(TAG.octetString, keyIdentifier(key)))
const authorityKeyIdentifier = (key: Buffer): Buffer =>
  extension('2.5.29.35', false, derSequence(derValue(0x80, keyIdentifier(key))))

const extendedKeyUsage = (purpose: string): Buffer => extension('2.5.29.37', false, derSequence(derOid(purpose)))
const CLIENT_EXTENSIONS = [keyUsage(0x80), extendedKeyUsage('1.3.6.1.5.5.7.3.2')]

const spki = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' })

/** The subject's bytes as they stand in the certificate: an issuer must be repeated as it is, not re-encoded. */
function subjectBytes(certificate: X509Certificate): Buffer {
  const [toBeSigned] = readMembers(readFirstDer(certificate.raw), TAG.sequence, 3)
  const fields = readMembers(toBeSigned, TAG.sequence, 6)
  const first = fields[0]?.tag === 0xa0 ? 1 : 0
  return fields[first + 4]?.bytes ?? Buffer.alloc(0)
}

/** 16 random bytes, positive and not 0. */
const randomSerial = (): Buffer => Buffer.concat([Buffer.from([0x10]), randomBytes(15)])

export async function createClientAuthority(now: Date): Promise<Authority> {
  const { publicKey, privateKey } = await rsaKeys()
  const name = encodeNameInOrder([
    ['OU', 'C4core'],
    ['O', 'SAP'],
    ['L', 'Waldorf'],
    ['ST', 'Waldorf'],
    ['C', 'DE'],
    ['CN', 'Kyma'],
  ])
  const der = signCertificate(
    {
      version: 1,
      serial: randomSerial(),
      issuer: name,
      subject: name,
      notBefore: now,
      life: AUTHORITY_LIFE,
      publicKey: spki(publicKey),
      extensions: [],
    },
    RSA_SHA256,
    privateKey,
  )
  return { certificate: new X509Certificate(der), key: privateKey }
}

export async function createServerAuthority(now: Date): Promise<Authority> {
  const { publicKey, privateKey } = await ecKeys()
  const name = encodeNameInOrder([['CN', 'Kyma sandbox server CA']])
  const basicConstraints = extension('2.5.29.19', true, derSequence(derValue(TAG.boolean, Buffer.from([0xff]))))
  const der = signCertificate(
    {
      version: 3,
      serial: randomSerial(),
      issuer: name,
      subject: name,
      notBefore: now,
      life: AUTHORITY_LIFE,
      publicKey: spki(publicKey),
      extensions: [basicConstraints, keyUsage(0x06), subjectKeyIdentifier(spki(publicKey))],
    },
    ECDSA_SHA256,
    privateKey,
  )
  return { certificate: new X509Certificate(der), key: privateKey }
}

/** A server certificate for these DNS names, and addresses (IPv4), with its key, both PEM. */
export async function issueServerCertificate(
  authority: Authority,
  names: readonly string[],
  now: Date,
  addresses: readonly string[] = [],
): Promise<{ certificate: string; key: string }> {
  const { publicKey, privateKey } = await ecKeys()
  const alternativeNames = derSequence(
    ...names.map((name) => derValue(0x82, Buffer.from(name))),
    ...addresses.map((address) => derValue(0x87, Buffer.from(address.split('.').map(Number)))),
  )
  const der = signCertificate(
    {
      version: 3,
      serial: randomSerial(),
      issuer: subjectBytes(authority.certificate),
      subject: encodeNameInOrder([['CN', 'Kyma sandbox']]),
      notBefore: now,
      life: SERVER_LIFE,
      publicKey: spki(publicKey),
      extensions: [
        keyUsage(0x80),
        extendedKeyUsage('1.3.6.1.5.5.7.3.1'),
        extension('2.5.29.17', false, alternativeNames),
        subjectKeyIdentifier(spki(publicKey)),
        authorityKeyIdentifier(spki(authority.certificate.publicKey)),
      ],
    },
    ECDSA_SHA256,
    authority.key,
  )
  return { certificate: toPem('CERTIFICATE', der), key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() }
}

/** Serial number 2, always (contract §5). */
const CLIENT_SERIAL = Buffer.from([2])

/** The certificate (PEM) that the Connector signs for a request: `life` in seconds from now, the request's extensions ignored. */
export function issueClientCertificate(
  authority: Authority,
  request: { readonly subject: Subject; readonly publicKey: Buffer },
  algorithm: SignatureAlgorithm,
  now: Date,
  life: number,
): string {
  const der = signCertificate(
    {
      version: 3,
      serial: CLIENT_SERIAL,
      issuer: subjectBytes(authority.certificate),
      subject: encodeSubject(request.subject),
      notBefore: now,
      life,
      publicKey: request.publicKey,
      extensions: CLIENT_EXTENSIONS,
    },
    algorithm,
    authority.key,
  )
  return toPem('CERTIFICATE', der)
}

/** The self-signed certificate (PEM) that the Registry makes for `certificateGen` (contract §9); nothing uses its key. */
export async function createCredentialCertificate(commonName: string, now: Date): Promise<string> {
  const { publicKey, privateKey } = await rsaKeys()
  const name = encodeSubject({ C: [], ST: [], L: [], O: [], OU: [], CN: [commonName], serialNumber: [] })
  const der = signCertificate(
    {
      version: 3,
      serial: CLIENT_SERIAL,
      issuer: name,
      subject: name,
      notBefore: now,
      life: CREDENTIAL_LIFE,
      publicKey: spki(publicKey),
      extensions: CLIENT_EXTENSIONS,
    },
    RSA_SHA256,
    privateKey,
  )
  return toPem('CERTIFICATE', der)
}

/** Key and certificate in one PEM text, so that one atomic write keeps them together. */
export function authorityToPem(authority: Authority): string {
  return authority.key.export({ format: 'pem', type: 'pkcs8' }).toString() + certificatePem(authority)
}

/** Throws when the text is not what `authorityToPem` wrote. */
export function authorityFromPem(pem: string): Authority {
  const authority = {
    certificate: new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE'))),
    key: createPrivateKey(pem),
  }
  if (!authority.certificate.checkPrivateKey(authority.key))
    throw new Error('key and certificate do not belong together')
  return authority
}

export function certificatePem(authority: Authority): string {
  return toPem('CERTIFICATE', authority.certificate.raw)
}
