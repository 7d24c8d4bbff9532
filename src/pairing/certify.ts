import type { KeyObject } from 'node:crypto'
import { requestSigning } from '../connector/signing.js'
import type { Identity, Metadata } from '../identity/identity.js'
import type { ProfileChange, Written } from '../identity/store.js'
import { fingerprint, subjectLine, verifyChain } from '../pki/chain.js'
import { createCsr } from '../pki/csr.js'
import type { DistinguishedName } from '../pki/distinguished-name.js'
import { keyToPem } from '../pki/key.js'
import { toPem } from '../pki/pem.js'
import type { Answer } from '../transport/answer.js'
import type { HttpClient } from '../transport/client.js'

export interface CertifyRequest {
  /** The URL to send the CSR to: a csrUrl with its token, or a renewal's URL behind the gateway. */
  readonly url: URL
  readonly key: KeyObject
  readonly subject: DistinguishedName
  /** The metadata of the new identity, apart from what its certificate provides. */
  readonly about: Omit<Metadata, CertificateFacts>
}

/** The metadata that comes from the certificate itself. */
export type CertificateFacts = 'subject' | 'fingerprint' | 'notBefore' | 'notAfter'

/** What the two users of the step do differently. */
export interface CertifySteps {
  /** Called as soon as a 201 is seen. */
  readonly onSigned?: () => void
  /** Called with the verified identity before it is stored; when it throws, nothing is stored. */
  readonly beforeCommit?: (candidate: Identity) => Promise<void>
  /** See ProfileChange.commit. */
  readonly pending?: 'delete' | 'keep'
}

export type Certified =
  | { readonly outcome: 'stored'; readonly written: Written<Identity> }
  /** The service did not sign; what that means depends on where the CSR was sent. */
  | { readonly outcome: 'refused'; readonly answer: Answer }

/**
 * CSR, signing, verification and commit: the step that a pairing and a renewal share. The 201 consumes the token of a pairing, and the
 * commit stores the identity: no later failure undoes either.
 * @throws CertificateUnverifiedError, AnswerLostError, AnswerMalformedError, FilesError and what the transport throws
 */
export async function certify(
  http: HttpClient,
  { url, key, subject, about }: CertifyRequest,
  change: ProfileChange,
  { onSigned = () => undefined, beforeCommit, pending }: CertifySteps = {},
): Promise<Certified> {
  const answered = await requestSigning(http, url, await createCsr(subject, key), onSigned)
  if (answered.outcome === 'refused') return answered
  const { leaf, intermediates, roots } = await verifyChain(answered.certificates, key, subject)
  const pem = (certificate: typeof leaf): string => toPem('CERTIFICATE', certificate.raw)
  const metadata = {
    ...about,
    subject: subjectLine(leaf),
    fingerprint: fingerprint(leaf),
    notBefore: new Date(leaf.validFrom),
    notAfter: new Date(leaf.validTo),
  }
  const material = {
    key: keyToPem(key),
    leaf: pem(leaf),
    chain: [leaf, ...intermediates].map(pem).join(''),
    ca: roots.map(pem).join(''),
  }
  await beforeCommit?.({ metadata, material })
  return { outcome: 'stored', written: await change.commit(metadata, material, pending) }
}
