import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCsr, encodeName } from '../../src/pki/csr.js'
import { type DistinguishedName, parseRfc4514 } from '../../src/pki/distinguished-name.js'
import { publicKeyDer } from '../../src/pki/key.js'
import { openssl, temporaryFolder } from '../support/certificates.js'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
/** Runs of openssl take most of the time; more by environment. */
const runs = Number(process.env['KYCONNECT_PROPERTY_RUNS'] ?? '40')

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('csr')
})
afterAll(() => folder.remove())

async function inFile(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder.path, name)
  await writeFile(path, content)
  return path
}

/** What openssl reads of a CSR: its subject as RFC 4514 has it, which is in reverse; short names, UTF-8 as escaped bytes. */
async function subjectOf(pem: string): Promise<DistinguishedName | undefined> {
  const file = await inFile('request.pem', pem)
  const text = await openssl('req', '-in', file, '-noout', '-subject', '-nameopt', 'RFC2253')
  // A value that is # alone is the one case it forgets to escape.
  const escaped = text.replace(/^subject=|\n$/g, '').replace(/=#(?=[,+]|$)/g, '=\\#')
  return parseRfc4514(escaped)?.toReversed()
}

// A C is of two letters and the others have upper bounds, but neither openssl nor the service insists on them in a CSR.
const types = ['CN', 'O', 'OU', 'L', 'ST', 'C', 'UID', 'serialNumber']
const special = fc.constantFrom(
  ' ',
  '#',
  ',',
  '+',
  '"',
  '\\',
  '<',
  ';',
  '=',
  '*',
  '@',
  '_',
  '&',
  '\n',
  '\x7f',
  'é',
  '漢',
  '😀',
)
const letter = fc.oneof(
  fc.string({ unit: special, minLength: 1, maxLength: 1 }),
  fc.string({ unit: 'grapheme', maxLength: 2 }),
)
const value = fc.array(letter, { minLength: 1, maxLength: 8 }).map((letters) => letters.join('') || 'x')
const part = fc.uniqueArray(fc.record({ type: fc.constantFrom(...types), value }), {
  minLength: 1,
  maxLength: 3,
  selector: ({ type }) => type,
})
const name = fc.array(part, { minLength: 1, maxLength: 7 })

/** DER puts the members of a set in the order of their encoding, so the order within a multi-valued part is lost. */
const setOf = (parts: DistinguishedName | undefined): unknown =>
  parts?.map((members) => members.map(({ type, value: text }) => `${type}=${text}`).sort())

describe('a certificate signing request', () => {
  test('carries its subject: openssl reads back the attributes, their order and every character', async () => {
    await fc.assert(
      fc.asyncProperty(name, async (subject) => {
        expect(setOf(await subjectOf(await createCsr(subject, privateKey)))).toEqual(setOf(subject))
      }),
      { numRuns: runs },
    )
  })

  test('is signed with SHA-256 by the key whose public half it carries', async () => {
    const subject = parseRfc4514('O=Organization,OU=OrgUnit,L=Waldorf,ST=Waldorf,C=DE,CN=demo') ?? []
    const pem = await createCsr(subject, privateKey)
    const file = await inFile('verified.pem', pem)
    const text = await openssl('req', '-in', file, '-verify', '-noout', '-text', '-pubkey')
    expect(text).toContain('Signature Algorithm: sha256WithRSAEncryption')
    const [publicKey = ''] = /-----BEGIN PUBLIC KEY-----[^]*-----END PUBLIC KEY-----/.exec(text) ?? []
    expect(publicKeyDer(createPublicKey(publicKey))).toEqual(publicKeyDer(privateKey))
    expect(pem).toMatch(
      /^-----BEGIN CERTIFICATE REQUEST-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE REQUEST-----\n$/,
    )
  })
})

describe('the DER of a name', () => {
  const parsed = async (subject: string): Promise<string> => {
    const file = await inFile('name.der', await encodeName(parseRfc4514(subject) ?? []))
    return openssl('asn1parse', '-inform', 'DER', '-in', file)
  }

  test('uses PrintableString where the text allows, UTF8String elsewhere, IA5String where the type asks for it', async () => {
    const text = await parsed('CN=demo-1.2,O=Ünï,OU=a@b,DC=kyma,emailAddress=a@b.example')
    const strings = [...text.matchAll(/(PRINTABLESTRING|UTF8STRING|IA5STRING) *:(.*)/g)].map(([, type]) => type)
    expect(strings).toEqual(['PRINTABLESTRING', 'UTF8STRING', 'UTF8STRING', 'IA5STRING', 'IA5STRING'])
  })

  test('keeps the order as written and puts a multi-valued part into one set', async () => {
    const text = await parsed('O=x+OU=y,CN=z')
    expect([...text.matchAll(/: SET/g)]).toHaveLength(2)
    expect([...text.matchAll(/OBJECT *:(\w+)/g)].map(([, type]) => type)).toEqual([
      'organizationName',
      'organizationalUnitName',
      'commonName',
    ])
  })
})
