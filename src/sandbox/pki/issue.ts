/** The certificates that the authorities issue. */
import type { Authority } from './authority.js'
import {
  authorityKeyIdentifier,
  CLIENT_AUTH,
  extendedKeyUsage,
  keyUsage,
  SERVER_AUTH,
  signCertificate,
  spki,
  subjectAlternativeName,
  subjectBytes,
  subjectKeyIdentifier,
} from './certificate.js'
import { encodeNameInOrder, encodeSubject, type AttributeName, type Subject } from './distinguished-name.js'
import { generateEcKeys, generateRsaKeys, privateKeyPem } from './keys.js'
import { toPem } from './pem.js'
import { ECDSA_SHA256, RSA_SHA256, type SignatureAlgorithm } from './signature-algorithm.js'

const DAY_SECONDS = 24 * 60 * 60

/** Both PEM. */
export interface CertificateWithKey {
  readonly certificate: string
  readonly key: string
}

/** A server certificate for these DNS names and IPv4 addresses. `authority` has an EC key. */
export function issueServerCertificate(
  authority: Authority,
  now: Date,
  names: readonly string[],
  addresses: readonly string[] = [],
): Promise<CertificateWithKey> {
  return issueWithKey(
    authority,
    now,
    [['CN', 'Kyma sandbox']],
    [extendedKeyUsage(SERVER_AUTH), subjectAlternativeName(names, addresses)],
  )
}

/** A client certificate for a user of the cluster, as a kubeconfig holds one. `authority` has an EC key. */
export function issueClusterCertificate(authority: Authority, now: Date, user: string): Promise<CertificateWithKey> {
  return issueWithKey(
    authority,
    now,
    [
      ['O', 'system:masters'],
      ['CN', user],
    ],
    [extendedKeyUsage(CLIENT_AUTH)],
  )
}

async function issueWithKey(
  authority: Authority,
  now: Date,
  subject: readonly (readonly [AttributeName, string])[],
  extensions: readonly Buffer[],
): Promise<CertificateWithKey> {
  const keys = await generateEcKeys()
  const publicKey = spki(keys.publicKey)
  const der = signCertificate(
    {
      version: 3,
      issuer: subjectBytes(authority.certificate),
      subject: encodeNameInOrder(subject),
      notBefore: now,
      lifetimeSeconds: 397 * DAY_SECONDS,
      publicKey,
      extensions: [
        keyUsage(0x80),
        ...extensions,
        subjectKeyIdentifier(publicKey),
        authorityKeyIdentifier(spki(authority.certificate.publicKey)),
      ],
    },
    ECDSA_SHA256,
    authority.key,
  )
  return { certificate: toPem('CERTIFICATE', der), key: privateKeyPem(keys) }
}

/** The serial number of everything that the services issue (docs/contract.md §5). */
const SERIAL = Buffer.from([2])
const EXTENSIONS = [keyUsage(0x80), extendedKeyUsage(CLIENT_AUTH)]

/** The certificate (PEM) that the Connector signs for a request, whose extensions it ignores (docs/contract.md §5). */
export function issueClientCertificate(
  authority: Authority,
  request: { readonly subject: Subject; readonly publicKey: Buffer },
  algorithm: SignatureAlgorithm,
  now: Date,
  lifetimeSeconds: number,
): string {
  const der = signCertificate(
    {
      version: 3,
      serial: SERIAL,
      issuer: subjectBytes(authority.certificate),
      subject: encodeSubject(request.subject),
      notBefore: now,
      lifetimeSeconds,
      publicKey: request.publicKey,
      extensions: EXTENSIONS,
    },
    algorithm,
    authority.key,
  )
  return toPem('CERTIFICATE', der)
}

/** The self-signed certificate (PEM) that the Registry creates for `certificateGen` (docs/contract.md §9). Its key is not kept. */
export async function issueCredentialCertificate(commonName: string, now: Date): Promise<string> {
  const { publicKey, privateKey } = await generateRsaKeys()
  const name = encodeSubject({ C: [], ST: [], L: [], O: [], OU: [], CN: [commonName], serialNumber: [] })
  const der = signCertificate(
    {
      version: 3,
      serial: SERIAL,
      issuer: name,
      subject: name,
      notBefore: now,
      lifetimeSeconds: 365 * DAY_SECONDS,
      publicKey: spki(publicKey),
      extensions: EXTENSIONS,
    },
    RSA_SHA256,
    privateKey,
  )
  return toPem('CERTIFICATE', der)
}
