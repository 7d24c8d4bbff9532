import { createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CertificateUnverifiedError } from '../../src/errors.js'
import { fingerprint, subjectLine, verifyChain } from '../../src/pki/chain.js'
import { type DistinguishedName, parseAnnouncedSubject } from '../../src/pki/distinguished-name.js'
import { pemBlocks, toPem } from '../../src/pki/pem.js'
import { type Authority, makeAuthority, openssl, signCsr, temporaryFolder } from '../support/certificates.js'

const asked = 'O=Organization,OU=OrgUnit,L=Waldorf,ST=Waldorf,C=DE,CN=demo'
const subject = parseAnnouncedSubject(asked) ?? []

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let root: Authority
let other: Authority
let key: KeyObject
let csr: string
/** root -> upper -> lower -> leaf, beside a leaf that the root signed itself. */
let chain: { root: X509Certificate; upper: X509Certificate; lower: X509Certificate; leaf: X509Certificate }
let plainLeaf: X509Certificate

beforeAll(async () => {
  folder = await temporaryFolder('chain')
  ;[root, other] = await Promise.all([
    makeAuthority(folder.path, 'root', 'rsa'),
    makeAuthority(folder.path, 'other', 'rsa'),
  ])
  const keyFile = join(folder.path, 'client.key')
  csr = await request('client', keyFile, '/C=DE/ST=Waldorf/L=Waldorf/O=Organization/OU=OrgUnit/CN=demo')
  key = createPrivateKey(await readFile(keyFile, 'utf8'))
  const upper = await intermediate('upper', root)
  const lower = await intermediate('lower', upper)
  chain = {
    root: await certificateOf(root),
    upper: await certificateOf(upper),
    lower: await certificateOf(lower),
    leaf: new X509Certificate(await signCsr(folder.path, lower, csr)),
  }
  plainLeaf = new X509Certificate(await signCsr(folder.path, root, csr))
})
afterAll(() => folder.remove())

async function request(name: string, keyFile: string, dn: string): Promise<string> {
  const file = join(folder.path, `${name}.csr`)
  await openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile, '-out', file, '-subj', dn, '-utf8')
  return readFile(file, 'utf8')
}

async function intermediate(name: string, authority: Authority): Promise<Authority> {
  const [certificateFile, keyFile, extensions] = [`${name}.crt`, `${name}.key`, `${name}.ext`].map((file) =>
    join(folder.path, file),
  ) as [string, string, string]
  await writeFile(extensions, 'basicConstraints=critical,CA:TRUE\n')
  const pem = await signCsr(folder.path, authority, await request(name, keyFile, `/O=Test/CN=${name}`), [
    '-extfile',
    extensions,
  ])
  await writeFile(certificateFile, pem)
  return { certificateFile, keyFile }
}

async function certificateOf({ certificateFile }: Authority): Promise<X509Certificate> {
  return new X509Certificate(await readFile(certificateFile, 'utf8'))
}

const prints = (certificates: readonly X509Certificate[]): string[] => certificates.map(fingerprint)

async function refusal(certificates: readonly X509Certificate[], name: DistinguishedName = subject): Promise<string> {
  return verifyChain(certificates, key, name).then(
    () => 'verified',
    (error: unknown) => {
      if (error instanceof CertificateUnverifiedError) return error.message
      throw error
    },
  )
}

describe('a chain', () => {
  test('is put in order however it came: any order, anything twice', async () => {
    const { leaf, lower, upper, root: top } = chain
    const all = [leaf, lower, upper, top]
    const order = fc
      .tuple(fc.shuffledSubarray(all, { minLength: 4 }), fc.shuffledSubarray(all))
      .map(([once, again]) => [...once, ...again])
    await fc.assert(
      fc.asyncProperty(order, async (certificates) => {
        const verified = await verifyChain(certificates, key, subject)
        expect(fingerprint(verified.leaf)).toBe(fingerprint(leaf))
        expect(prints(verified.intermediates)).toEqual(prints([lower, upper]))
        expect(prints(verified.roots)).toEqual(prints([top]))
      }),
    )
  })

  test('of a leaf and its root has no intermediates', async () => {
    const verified = await verifyChain([chain.root, plainLeaf], key, subject)
    expect(prints([verified.leaf, ...verified.intermediates, ...verified.roots])).toEqual(
      prints([plainLeaf, chain.root]),
    )
  })

  test('may end at an intermediate: what the answer holds is what there is', async () => {
    const verified = await verifyChain([chain.leaf, chain.lower], key, subject)
    expect(prints(verified.roots)).toEqual(prints([chain.lower]))
    expect(verified.intermediates).toEqual([])
  })

  test('keeps a second root that came along: the service may be changing its CA', async () => {
    const second = await certificateOf(other)
    const verified = await verifyChain([second, chain.root, plainLeaf], key, subject)
    expect(prints(verified.roots)).toEqual(prints([chain.root, second]))
  })

  test('is refused when the certificate is for another key', async () => {
    const foreign = await signCsr(
      folder.path,
      root,
      await request('foreign', join(folder.path, 'foreign.key'), '/CN=demo'),
    )
    expect(await refusal([new X509Certificate(foreign), chain.root])).toContain(
      'is for another key than the one in the CSR',
    )
    expect(await refusal([chain.root])).toContain('is for another key than the one in the CSR')
  })

  test('is refused when the issuer carries the right name and another key', async () => {
    const elsewhere = join(folder.path, 'elsewhere')
    await mkdir(elsewhere)
    const namesake = await makeAuthority(elsewhere, 'root', 'rsa')
    expect(await refusal([plainLeaf, await certificateOf(namesake)])).toContain(
      'lacks the issuer of the client certificate',
    )
  })

  test('is refused when the root is not there, or a link of it', async () => {
    expect(await refusal([chain.leaf])).toContain('lacks the issuer of the client certificate')
    expect(await refusal([chain.leaf, chain.root])).toContain('lacks the issuer of the client certificate')
    expect(await refusal([chain.leaf, chain.lower, chain.upper])).toBe('verified')
    const stranger = new X509Certificate(await signCsr(folder.path, other, csr))
    expect(await refusal([plainLeaf, chain.root, stranger])).toContain('does not belong to the chain')
  })

  test('is refused when the certificate has an end that no calendar has', async () => {
    // A GeneralizedTime in month 13: well-formed DER, and not a date. Signed again, so that the date is all that is wrong.
    const far = await signCsr(folder.path, root, csr, ['-days', '2900000'])
    const der = Buffer.from(new X509Certificate(far).raw)
    const at = der.indexOf(Buffer.from([0x18, 0x0f]))
    expect(at).toBeGreaterThan(0)
    der.write('99991399999999Z', at + 2, 'latin1')
    const signed = der.subarray(4, 8 + der.readUInt16BE(6))
    sign('sha256', signed, await readFile(root.keyFile)).copy(der, der.length - 256)
    const certificate = new X509Certificate(der)
    expect(certificate.verify(chain.root.publicKey)).toBe(true)
    expect(await refusal([certificate, chain.root])).toContain('invalid dates')
  })

  test.each([
    ['another App', asked.replace('demo', 'shop')],
    ['another organization', asked.replace('Organization', 'Other')],
    ['one attribute more', `${asked},OU=more`],
  ])('is refused when the subject is that of %s', async (_, name) => {
    const wanted = name.split(',').map((part) => {
      const [type = '', value = ''] = part.split('=')
      return [{ type, value }]
    })
    expect(await refusal([plainLeaf, chain.root], wanted)).toContain('the signed certificate is for')
  })
})

test('names that are not ASCII are compared as text, whatever string type they are encoded in', async () => {
  const file = join(folder.path, 'umlaut.key')
  const pem = await signCsr(folder.path, root, await request('umlaut', file, '/O=Köln, GmbH/CN=demo\\+x'))
  const verified = await verifyChain(
    [new X509Certificate(pem), chain.root],
    createPrivateKey(await readFile(file, 'utf8')),
    [[{ type: 'O', value: 'Köln, GmbH' }], [{ type: 'CN', value: 'demo+x' }]],
  )
  expect(fingerprint(verified.leaf)).toMatch(/^[0-9a-f]{64}$/)
})

test('the fingerprint is the one openssl prints, the subject is on one line', async () => {
  const printed = await openssl('x509', '-in', root.certificateFile, '-noout', '-fingerprint', '-sha256')
  expect(fingerprint(chain.root)).toBe(printed.replace(/.*=/, '').replaceAll(':', '').trim().toLowerCase())
  expect(subjectLine(plainLeaf)).toBe('C=DE,ST=Waldorf,L=Waldorf,O=Organization,OU=OrgUnit,CN=demo')
})

describe('PEM', () => {
  test('is found wherever it stands in a text, with or without a newline at the end', () => {
    const der = new Uint8Array(chain.root.raw)
    const pem = toPem('CERTIFICATE', der)
    expect(pem).toBe(chain.root.toString())
    const text = `subject=x\n${pem}${toPem('PRIVATE KEY', der)}noise\r\n${pem.trimEnd().replaceAll('\n', '\r\n')}`
    expect(pemBlocks(text, 'CERTIFICATE').map((block) => Buffer.from(block))).toEqual([chain.root.raw, chain.root.raw])
  })

  test('that is not whole is none', () => {
    const pem = toPem('CERTIFICATE', new Uint8Array(chain.root.raw))
    expect(pemBlocks(pem.slice(0, -10), 'CERTIFICATE')).toEqual([])
    expect(pemBlocks('-----BEGIN CERTIFICATE-----'.repeat(2000), 'CERTIFICATE')).toEqual([])
  })
})

describe('hostile input', () => {
  test('an issued subject with a second CN in one part with an unknown type is refused', async () => {
    const file = join(folder.path, 'second.key')
    const pem = await signCsr(
      folder.path,
      root,
      await request('second', file, '/O=Organization/CN=demo/1.2.3.4=x+CN=admin'),
    )
    const key = createPrivateKey(await readFile(file, 'utf8'))
    const asked = [[{ type: 'O', value: 'Organization' }], [{ type: 'CN', value: 'demo' }]]
    await expect(verifyChain([new X509Certificate(pem), chain.root], key, asked)).rejects.toThrow('is for')
  })

  test.each([
    ['PEM of blanks', `-----BEGIN CERTIFICATE-----${' '.repeat(1024 * 1024)}`],
    ['PEM that only begins', '-----BEGIN CERTIFICATE-----\n'.repeat(40_000)],
    ['PEM that begins and never ends in base64', `-----BEGIN CERTIFICATE-----\n${'A'.repeat(1024 * 1024)}`],
    ['PEM with many ends', `-----BEGIN CERTIFICATE-----\n${'-----END '.repeat(110_000)}`],
  ])('%s of 1 MiB is read in linear time', (_, text) => {
    const started = performance.now()
    expect(pemBlocks(text, 'CERTIFICATE')).toEqual([])
    // The quadratic reading took minutes.
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
