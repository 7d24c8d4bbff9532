import type { KeyObject } from 'node:crypto'
import { attributeOid, type Attribute, type DistinguishedName } from './distinguished-name.js'
import { publicKeyDer } from './key.js'
import { toPem } from './pem.js'
import { loadX509, type X509Library } from './x509.js'

const signing = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const

/**
 * Creates a PKCS#10 certificate signing request (RFC 2986), signed with SHA-256: the service signs the certificate with the
 * CSR's own algorithm, and a SHA-1 one would not load in OpenSSL 3 (docs/contract.md §5).
 * @returns PEM
 */
export async function createCsr(subject: DistinguishedName, key: KeyObject): Promise<string> {
  const library = await loadX509()
  const { x509, crypto } = library
  const [privateKey, publicKey] = await Promise.all([
    crypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), signing, true, ['sign']),
    crypto.subtle.importKey('spki', publicKeyDer(key), signing, true, ['verify']),
  ])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: toX509Name(library, subject), keys: { privateKey, publicKey }, signingAlgorithm: signing },
    crypto,
  )
  return toPem('CERTIFICATE REQUEST', new Uint8Array(csr.rawData))
}

/** The DER encoding of a name: order and grouping kept; PrintableString where the value allows it, otherwise UTF8String (RFC 5280, 4.1.2.4). */
export async function encodeName(name: DistinguishedName): Promise<Uint8Array> {
  return new Uint8Array(toX509Name(await loadX509(), name).toArrayBuffer())
}

function toX509Name({ x509 }: X509Library, name: DistinguishedName): InstanceType<X509Library['x509']['Name']> {
  return new x509.Name(
    name.map((part) => {
      const byOid: Record<string, ReturnType<typeof typedValue>[]> = {}
      for (const attribute of part) {
        const oid = attributeOid(attribute.type)
        if (oid === undefined) throw new TypeError(`no OID for attribute type ${attribute.type}`)
        ;(byOid[oid] ??= []).push(typedValue(oid, attribute))
      }
      return byOid
    }),
  )
}

const ia5Types: ReadonlySet<string | undefined> = new Set([attributeOid('DC'), attributeOid('emailAddress')])

/** Names the string type, so that the library uses the value as it is and does not interpret quotes or `#` in it. */
function typedValue(
  oid: string,
  { value }: Attribute,
): { ia5String: string } | { printableString: string } | { utf8String: string } {
  if (ia5Types.has(oid)) return { ia5String: value }
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? { printableString: value } : { utf8String: value }
}
