import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { basicConstraintsCa, keyUsage, signCertificate, spki, subjectKeyIdentifier } from './certificate.js'
import { encodeNameInOrder } from './distinguished-name.js'
import { generateEcKeys, generateRsaKeys } from './keys.js'
import { toPem } from './pem.js'
import { ECDSA_SHA256, RSA_SHA256 } from './signature-algorithm.js'

/**
 * A certificate authority. The sandbox has two, as a local Kyma has: one signs client certificates, the other the server certificates
 * of all hosts (docs/contract.md §0) and the client certificates of the cluster.
 */
export interface Authority {
  readonly certificate: X509Certificate
  readonly key: KeyObject
}

const LIFETIME_SECONDS = 3650 * 24 * 60 * 60

/** The CA of the client certificates: RSA and X.509 v1 as Kyma's own, but in date (docs/contract.md §5). */
export async function createClientAuthority(now: Date): Promise<Authority> {
  const { publicKey, privateKey } = await generateRsaKeys()
  const name = encodeNameInOrder([
    ['OU', 'C4core'],
    ['O', 'SAP'],
    ['L', 'Waldorf'],
    ['ST', 'Waldorf'],
    ['C', 'DE'],
    ['CN', 'Kyma'],
  ])
  const contents = { issuer: name, subject: name, notBefore: now, lifetimeSeconds: LIFETIME_SECONDS }
  const der = signCertificate(
    { version: 1, ...contents, publicKey: spki(publicKey), extensions: [] },
    RSA_SHA256,
    privateKey,
  )
  return { certificate: new X509Certificate(der), key: privateKey }
}

/** The CA of the server certificates and of the cluster. */
export async function createServerAuthority(now: Date): Promise<Authority> {
  const { publicKey, privateKey } = await generateEcKeys()
  const name = encodeNameInOrder([['CN', 'Kyma sandbox server CA']])
  const contents = { issuer: name, subject: name, notBefore: now, lifetimeSeconds: LIFETIME_SECONDS }
  const extensions = [basicConstraintsCa, keyUsage(0x06), subjectKeyIdentifier(spki(publicKey))]
  const der = signCertificate(
    { version: 3, ...contents, publicKey: spki(publicKey), extensions },
    ECDSA_SHA256,
    privateKey,
  )
  return { certificate: new X509Certificate(der), key: privateKey }
}

/** Key and certificate in one PEM text, so that one atomic write keeps them together. */
export function authorityToPem(authority: Authority): string {
  return authority.key.export({ format: 'pem', type: 'pkcs8' }).toString() + certificatePem(authority)
}

/** Reads what `authorityToPem` wrote. @throws Error for any other text */
export function authorityFromPem(pem: string): Authority {
  const authority = {
    certificate: new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE'))),
    key: createPrivateKey(pem),
  }
  if (!authority.certificate.checkPrivateKey(authority.key)) throw new Error('the key does not match the certificate')
  return authority
}

export function certificatePem(authority: Authority): string {
  return toPem('CERTIFICATE', authority.certificate.raw)
}
