import { type KeyObject, X509Certificate } from 'node:crypto'
import { CertificateUnverifiedError } from '../errors.js'
import { formatRfc4514, isSubjectAskedFor, type DistinguishedName } from './distinguished-name.js'
import { publicKeyDer } from './key.js'
import { loadX509 } from './x509.js'

/** A client certificate with the chain to its trust anchor. */
export interface Chain {
  readonly leaf: X509Certificate
  /** From the leaf's issuer upwards: the order TLS sends them in (RFC 8446, 4.4.2). */
  readonly intermediates: readonly X509Certificate[]
  /** The certificate at the end of the chain, and any other self-signed certificate in the answer. */
  readonly roots: readonly X509Certificate[]
}

/**
 * Builds a verified chain from certificates in any order: the leaf carries our public key and the requested subject,
 * and every link is verified by issuer name and signature. Dates, versions and CA flags are not checked: Kyma's own CA is a v1
 * certificate that expired in 2019, and a fresh leaf is not yet valid for a slow clock (docs/contract.md §5 and §12, traps 16 and 19).
 * @throws CertificateUnverifiedError
 */
export async function verifyChain(
  certificates: readonly X509Certificate[],
  key: KeyObject,
  subject: DistinguishedName,
): Promise<Chain> {
  const distinct = [...new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate])).values()]
  const ours = publicKeyDer(key)
  const leaf = distinct.find((certificate) => carriesKey(certificate, ours))
  if (leaf === undefined) {
    throw new CertificateUnverifiedError('the signed certificate is not for the key in the CSR', {
      details: { subjects: distinct.map((certificate) => subjectLine(certificate)) },
    })
  }
  const issued = await subjectOf(leaf)
  if (!isSubjectAskedFor(issued, subject)) {
    throw new CertificateUnverifiedError(
      `the signed certificate is for ${formatRfc4514(issued)}, not for ${formatRfc4514(subject)}`,
    )
  }
  if ([leaf.validFrom, leaf.validTo].some((date) => Number.isNaN(Date.parse(date)))) {
    throw new CertificateUnverifiedError('the signed certificate has invalid dates')
  }
  const path = climb(leaf, distinct)
  const top = path.at(-1)
  if (top === undefined) {
    throw new CertificateUnverifiedError(
      `the answer lacks the issuer of the client certificate, ${oneLine(leaf.issuer)}`,
    )
  }
  const strays = distinct.filter((certificate) => certificate !== leaf && !path.includes(certificate))
  for (const stray of strays) {
    if (!isSelfSigned(stray) && climb(stray, distinct).length === 0) {
      throw new CertificateUnverifiedError(
        `the answer holds a certificate that does not belong to the chain: ${subjectLine(stray)}`,
      )
    }
  }
  return { leaf, intermediates: path.slice(0, -1), roots: [top, ...strays.filter(isSelfSigned)] }
}

function carriesKey(certificate: X509Certificate, der: Buffer): boolean {
  try {
    return publicKeyDer(certificate.publicKey).equals(der)
  } catch {
    return false
  }
}

/** The issuers of a certificate, nearest first, up to a self-signed one or the last one present. */
function climb(from: X509Certificate, among: readonly X509Certificate[]): X509Certificate[] {
  const path: X509Certificate[] = []
  for (let current = from; !isSelfSigned(current);) {
    const issuer = among.find(
      (candidate) => candidate !== from && !path.includes(candidate) && hasSigned(candidate, current),
    )
    if (issuer === undefined) break
    path.push(issuer)
    current = issuer
  }
  return path
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return hasSigned(certificate, certificate)
}

function hasSigned(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    // Nothing can be verified with a key of an unknown kind.
    return false
  }
}

/** The subject of a certificate. @param pem the certificate is the first in it @throws CertificateUnverifiedError when it cannot be read */
export function readSubject(pem: string): Promise<DistinguishedName> {
  return subjectOf(new X509Certificate(pem))
}

async function subjectOf(certificate: X509Certificate): Promise<DistinguishedName> {
  const { x509 } = await loadX509()
  try {
    return new x509.X509Certificate(certificate.raw).subjectName
      .toJSON()
      .map((part) => Object.entries(part).flatMap(([type, values]) => values.map((value) => ({ type, value }))))
  } catch (cause) {
    throw new CertificateUnverifiedError('the signed certificate cannot be read', { cause })
  }
}

/** SHA-256 of the DER in lower-case hex: serial numbers are always 2 here and identify nothing (docs/contract.md §12, trap 4). */
export function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

/** The subject on one line, in the certificate's order. */
export function subjectLine(certificate: X509Certificate): string {
  return oneLine(certificate.subject)
}

function oneLine(name: string): string {
  return name.replaceAll(' + ', '+').split('\n').join(',')
}
