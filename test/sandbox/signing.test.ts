import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { csrBody, hashOf, opensslRequest, pair, subjectOf } from './identity.js'
import { startTestSandbox, stringIn, wireTo, type Reply } from './wire.js'

let sandbox: Sandbox
let wire: ReturnType<typeof wireTo>
beforeAll(async () => {
  sandbox = await startTestSandbox()
  wire = wireTo(sandbox)
})
afterAll(() => sandbox.close())

async function sign(pem: string, app = 'demo'): Promise<Reply> {
  const token = await wire.newToken(app)
  return wire.connector(`/v1/applications/certificates?token=${token}`, { method: 'POST', body: csrBody(pem) })
}
const certificateIn = (reply: Reply): X509Certificate =>
  new X509Certificate(Buffer.from(stringIn(reply.body, 'clientCrt'), 'base64'))
const error = (code: number, text: string): string => `{"code":${code},"error":"${text}"}\n`

describe('a signing request', () => {
  test.each(['sha1', 'sha256', 'sha384', 'sha512'])(
    'signed with %s gets a certificate that is signed in the same way',
    async (digest) => {
      const reply = await sign(opensslRequest(subjectOf('demo'), [`-${digest}`]))
      expect(reply.status).toBe(201)
      const oid = { sha1: '05', sha256: '0b', sha384: '0c', sha512: '0d' }[digest] ?? ''
      // AlgorithmIdentifier: 1.2.840.113549.1.1.x, NULL
      expect(certificateIn(reply).raw.toString('hex')).toContain(`300d06092a864886f70d0101${oid}0500`)
    },
  )

  test.each([
    ['digest', 201],
    ['max', 400],
  ])('signed with PSS and a salt of length %s is answered %i', async (salt, status) => {
    const options = ['-sha256', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', `rsa_pss_saltlen:${salt}`]
    expect((await sign(opensslRequest(subjectOf('demo'), options))).status).toBe(status)
  })

  test('may have a key of 1024 bits', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    expect((await sign(opensslRequest(subjectOf('demo'), ['-sha256'], key))).status).toBe(201)
  })

  test.each(['ec', 'ed25519'])('with an %s key passes all checks and fails at the certificate', async (kind) => {
    const { privateKey } =
      kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const wrong = await sign(opensslRequest(subjectOf('other'), [], key))
    expect(wrong.body).toBe(error(400, 'CSR: Invalid common name provided.'))
    const right = await sign(opensslRequest(subjectOf('demo'), [], key))
    expect(right.body).toBe(
      error(
        500,
        'Error while creating certificate: x509: requested SignatureAlgorithm does not match private key type',
      ),
    )
  })

  test.each([
    ['', 'Error while unmarshalling request body: unexpected end of JSON input', 500],
    [
      '[]',
      'Error while unmarshalling request body: json: cannot unmarshal array into Go value of type externalapi.certRequest',
      500,
    ],
    [
      '{"csr":1}',
      'Error while unmarshalling request body: json: cannot unmarshal number into Go struct field certRequest.csr of type string',
      500,
    ],
    ['{}', 'Error while decoding pem block.', 400],
    ['{"csr":""}', 'Error while decoding pem block.', 400],
  ])('in the body %s is refused', async (body, text, status) => {
    const path = `/v1/applications/certificates?token=${await wire.newToken('demo')}`
    const reply = await wire.connector(path, { method: 'POST', body })
    expect([reply.status, reply.body]).toEqual([status, error(status, text)])
  })

  test('whose PEM ends with another label is refused', async () => {
    const { status, body } = await sign(
      opensslRequest(subjectOf('demo')).replace('END CERTIFICATE REQUEST', 'END SOMETHING'),
    )
    expect([status, body]).toEqual([400, error(400, 'Error while decoding pem block.')])
  })

  test('of damaged DER is refused as such, wherever the damage is', async () => {
    const der = Buffer.from(opensslRequest(subjectOf('demo')).replace(/-----.*-----|\s/g, ''), 'base64')
    const token = await wire.newToken('demo')
    for (let at = 0; at < der.length; at += 7) {
      const damaged = Buffer.from(der)
      damaged[at] = (damaged[at] ?? 0) ^ 0x15
      const cut = der.subarray(0, at)
      for (const bytes of [damaged, cut]) {
        const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
        const call = { method: 'POST', body: csrBody(pem) }
        const { status, body } = await wire.connector(`/v1/applications/certificates?token=${token}`, call)
        expect([at, status, body]).toEqual([at, 400, expect.stringMatching(/^{"code":400,"error":"(CSR|Error while)/)])
      }
    }
  })
})

describe('the certificate', () => {
  test('has the subject in the order of the Connector, two units in one RDN, and nothing else', async () => {
    const subject =
      '/CN=demo/C=DE/DC=x/emailAddress=a@b.c/OU=OrgUnit/serialNumber=7/OU=Second/ST=Waldorf/L=Waldorf/O=Organization'
    const certificate = certificateIn(await sign(opensslRequest(subject)))
    expect(certificate.subject.split('\n')).toEqual([
      'C=DE',
      'ST=Waldorf',
      'L=Waldorf',
      'O=Organization',
      'OU=Second + OU=OrgUnit',
      'CN=demo',
      'serialNumber=7',
    ])
  })

  test('may name an App with an odd name, which management/info reports', async () => {
    const app = 'my app/1,O=x'
    const identity = await pair(sandbox, app, subjectOf(app.replace('/', '\\/')))
    const reply = await wire.gateway('/v1/applications/management/info', identity)
    expect(reply.body).toContain(`{"clientIdentity":{"application":"${app}"}`)
    expect(reply.body).toContain(`"subject":"O=Organization,OU=OrgUnit,L=Waldorf,ST=Waldorf,C=DE,CN=${app}"`)
  })

  test('may name an App beyond ASCII', async () => {
    const app = 'aufträge–注文'
    const token = await wire.internal('/v1/applications/tokens', {
      method: 'POST',
      headers: { Application: Buffer.from(app).toString('latin1') },
    })
    const path = `/v1/applications/certificates?token=${stringIn(token.body, 'token')}`
    const reply = await wire.connector(path, { method: 'POST', body: csrBody(opensslRequest(subjectOf(app))) })
    expect(certificateIn(reply).subject).toContain(`CN=${app}`)
  })

  test('can be revoked through the internal API by its hash in lower case', async () => {
    const identity = await pair(sandbox, 'demo')
    const renew = async (): Promise<number> => {
      const call = { ...identity, method: 'POST', body: csrBody(opensslRequest(subjectOf('demo'))) }
      return (await wire.gateway('/v1/applications/certificates/renewals', call)).status
    }
    const revoke = async (hash: string): Promise<number> =>
      (
        await wire.internal('/v1/applications/certificates/revocations', {
          method: 'POST',
          body: JSON.stringify({ hash }),
        })
      ).status
    expect([await revoke(hashOf(identity).toUpperCase()), await renew()]).toEqual([201, 201])
    expect([await revoke(hashOf(identity)), await renew()]).toEqual([201, 403])
  })
})
