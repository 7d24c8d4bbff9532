import type { X509Certificate } from 'node:crypto'
import { createPublicKey } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { exitCodeOf } from '../../src/cli/exit-codes.js'
import { fetchCsrInfo, tokenRejected } from '../../src/connector/csr-info.js'
import { fetchManagementInfo } from '../../src/connector/management-info.js'
import { requestSigning } from '../../src/connector/signing.js'
import { KyconnectError } from '../../src/errors.js'
import { fingerprint } from '../../src/pki/chain.js'
import { refusalError } from '../../src/transport/refusal.js'
import { formatRfc4514, isSubjectAskedFor } from '../../src/pki/distinguished-name.js'
import { exchanges } from '../support/golden.js'
import { type Replay, startReplay } from '../support/replay.js'

/** What the recorded services answered is answered again, byte for byte, to the code that has to understand it. */
const connector = 'connector-service.kyma.local'
const gateway = 'gateway.kyma.local'
const token = 'dG9rZW4tZm9yLXRoZS1nb2xkZW4tdGVzdHM='

let replay: Replay
beforeAll(async () => {
  replay = await startReplay([connector, gateway])
})
afterAll(() => replay.stop())
beforeEach(() => {
  replay.asked.length = 0
  replay.traced.length = 0
})

function recorded(name: string): void {
  const exchange = exchanges.get(name)
  if (exchange === undefined) throw new Error(`nothing recorded as ${name}`)
  // The services name their host without a port; the replay listens on one.
  const body = exchange.response.body?.replaceAll(`https://${connector}/`, `https://${connector}:${replay.port}/`)
  replay.answer = { ...exchange.response, ...(body === undefined ? {} : { body }) }
}

const tokenUrl = (): URL =>
  new URL(`https://${connector}:${replay.port}/v1/applications/signingRequests/info?token=${token}`)
const csrUrl = (): URL => new URL(`https://${connector}:${replay.port}/v1/applications/certificates?token=${token}`)
const infoUrl = new URL(`https://${gateway}/v1/applications/management/info`)

async function outcome(work: Promise<unknown>): Promise<{ code: string; exit: number; message: string; hint: string }> {
  return work.then(
    () => ({ code: 'none', exit: 0, message: '', hint: '' }),
    (error: unknown) => {
      if (!(error instanceof KyconnectError)) throw error
      return { code: error.code, exit: exitCodeOf(error.code), message: error.message, hint: error.hints.join('; ') }
    },
  )
}

const askInfo = (): ReturnType<typeof fetchCsrInfo> => fetchCsrInfo(replay.http(), tokenUrl())
/** The certificates, or the refusal with the meaning that a pairing gives it. */
const askSigning = async (): Promise<readonly X509Certificate[]> => {
  const answered = await requestSigning(replay.http(), csrUrl(), 'the CSR', () => undefined)
  if (answered.outcome === 'signed') return answered.certificates
  const { answer } = answered
  throw answer.status === 403 ? tokenRejected(answer) : refusalError(answer, 'the CSR')
}
const askManagement = (): ReturnType<typeof fetchManagementInfo> => fetchManagementInfo(replay.http(gateway), infoUrl)

describe('the CSR information, as recorded', () => {
  test.each([
    ['info-ok', 'demo', 'Organization', 'OrgUnit'],
    ['central-info-ok', 'demo', 'tenant1', 'group1'],
    ['info-odd-app-name', undefined, 'Organization', 'OrgUnit'],
    ['info-unknown-app', undefined, 'Organization', 'OrgUnit'],
  ])('%s', async (name, cn, organization, unit) => {
    recorded(name)
    const info = await askInfo()
    const value = (type: string): string | undefined => info.subject.flat().find((part) => part.type === type)?.value
    expect([value('O'), value('OU'), value('C')]).toEqual([organization, unit, 'DE'])
    if (cn !== undefined) expect(value('CN')).toBe(cn)
    expect(info.subjectText).toContain(`CN=${value('CN') ?? '?'}`)
    expect(info.csrUrl.origin).toBe(tokenUrl().origin)
    expect(info.csrUrl.search).toMatch(/^\?token=[A-Za-z0-9_-]{86}==$/)
    expect(info.keyAlgorithm).toBe('rsa2048')
    expect(info.gatewayHost).toBe(gateway)
    expect(info.urls.infoUrl).toBe(infoUrl.href)
    expect(info.urls.metadataUrl).toMatch(/\/v1\/metadata\/services$/)
    expect(replay.asked).toEqual([{ method: 'GET', url: `${tokenUrl().pathname}?token=${token}`, body: '' }])
  })

  test('central-runtime-info: no URLs of an App, as long as none was assigned', async () => {
    recorded('central-runtime-info')
    const info = await askInfo()
    expect(info.urls).toEqual({ infoUrl: `https://${gateway}/v1/runtimes/management/info` })
    expect(formatRfc4514(info.subject)).toContain('CN=*Runtime*')
  })

  test.each([
    'info-used-token',
    'info-unknown-token',
    'info-no-token',
    'info-empty-token',
    'info-token-without-padding',
  ])('%s: 3, and asked once', async (name) => {
    recorded(name)
    const said = await outcome(askInfo())
    expect([said.code, said.exit]).toEqual(['ERR_TOKEN_REJECTED', 3])
    expect(said.hint).toContain('new token URL')
    expect(replay.asked).toHaveLength(1)
  })

  test('info-lookup-failed: a 500 with two documents means that the token is consumed, and the error says so', async () => {
    recorded('info-lookup-failed')
    const said = await outcome(askInfo())
    expect([said.code, said.exit]).toEqual(['ERR_SERVICE_FAILED', 7])
    expect(said.message).toContain('after it consumed the token')
    expect(said.message).not.toContain('csrUrl')
    expect(replay.asked).toHaveLength(1)
  })

  test.each([
    ['info-post-405', 'ERR_REQUEST_REFUSED', 6],
    ['info-trailing-slash', 'ERR_REQUEST_REFUSED', 6],
    ['connector-404-service', 'ERR_REQUEST_REFUSED', 6],
    ['connector-404-ingress', 'ERR_REQUEST_REFUSED', 6],
    ['gateway-404', 'ERR_REQUEST_REFUSED', 6],
    ['gateway-502', 'ERR_SERVICE_FAILED', 7],
    ['connector-v1-redirect', 'ERR_ANSWER_MALFORMED', 7],
    ['registry-list', 'ERR_ANSWER_MALFORMED', 7],
    ['mgmt-ok', 'ERR_ANSWER_MALFORMED', 7],
  ])('%s instead: %s', async (name, code, exit) => {
    recorded(name)
    const said = await outcome(askInfo())
    expect([said.code, said.exit]).toEqual([code, exit])
    expect(said.hint).not.toBe('')
    expect(replay.asked).toHaveLength(1)
  })
})

describe('the signed certificate, as recorded', () => {
  const signed = [...exchanges.values()].filter(
    ({ response }) => response.status === 201 && response.body?.includes('"clientCrt"') === true,
  )
  const count = (name: string): number => (name.includes('intermediate') ? 3 : 2)

  test.each(signed.map(({ name }) => [name, count(name)] as const))(
    '%s: %i different certificates, the client first',
    async (name, different) => {
      recorded(name)
      const certificates = await askSigning()
      expect(new Set(certificates.map(fingerprint)).size).toBe(different)
      const [leaf, ...rest] = certificates
      expect(leaf?.serialNumber).toBe('02')
      expect(rest.some((certificate) => leaf?.verify(certificate.publicKey))).toBe(true)
      expect(leaf && createPublicKey(leaf.toString()).asymmetricKeyType).toBe('rsa')
      const [sent] = replay.asked
      expect(JSON.parse(sent?.body ?? '')).toEqual({ csr: Buffer.from('the CSR').toString('base64') })
    },
  )

  test.each(
    [...exchanges.values()]
      .filter(({ name, response }) => /^csr-/.test(name) && response.status >= 400)
      .map(({ name }) => name),
  )('%s: the refusal is reported in the words of the service, and nothing is sent twice', async (name) => {
    recorded(name)
    const said = await outcome(askSigning())
    const { status } = replay.answer
    const exit = status === 403 ? 3 : status >= 500 ? 7 : 6
    expect([said.exit, said.code]).toEqual([
      exit,
      { 3: 'ERR_TOKEN_REJECTED', 6: 'ERR_REQUEST_REFUSED', 7: 'ERR_SERVICE_FAILED' }[exit],
    ])
    const [document = '{}'] = (replay.answer.body ?? '').split('\n')
    const { error } = JSON.parse(document) as { error: string }
    expect(said.message).toContain(error.slice(0, 200))
    expect(replay.asked).toHaveLength(1)
  })
})

describe('the management info, as recorded', () => {
  test.each(['mgmt-ok', 'mgmt-revoked', 'mgmt-renewed', 'mgmt-http1', 'mgmt-rsa4096', 'mgmt-ok-after-renewal'])(
    '%s',
    async (name) => {
      recorded(name)
      const info = await askManagement()
      expect(info.application).toBe('demo')
      expect(Object.keys(info.urls).sort()).toEqual(['eventsUrl', 'metadataUrl', 'renewCertUrl', 'revokeCertUrl'])
      expect(info.urls.renewCertUrl).toBe(`https://${gateway}/v1/applications/certificates/renewals`)
    },
  )

  test('central-runtime-mgmt: a runtime is not an App', async () => {
    recorded('central-runtime-mgmt')
    const info = await askManagement()
    expect(info.application).toBeUndefined()
    expect(info.urls.metadataUrl).toBeUndefined()
    expect(info.urls.renewCertUrl).toBeDefined()
  })

  test.each([
    ['mgmt-no-cert', 'ERR_CLIENT_CERTIFICATE_REFUSED', 4],
    ['mgmt-no-cert-tls13', 'ERR_CLIENT_CERTIFICATE_REFUSED', 4],
    ['mgmt-expired', 'ERR_CLIENT_CERTIFICATE_REFUSED', 4],
    ['mgmt-not-yet-valid', 'ERR_CLIENT_CERTIFICATE_REFUSED', 4],
    ['mgmt-foreign-ca', 'ERR_CLIENT_CERTIFICATE_REFUSED', 4],
    ['gateway-no-cert-metadata', 'ERR_CLIENT_CERTIFICATE_REFUSED', 4],
    ['mgmt-plain-http', 'ERR_REQUEST_REFUSED', 6],
    ['gateway-other-app-metadata', 'ERR_REQUEST_REFUSED', 6],
    ['gateway-unknown-app-metadata', 'ERR_REQUEST_REFUSED', 6],
    ['gateway-body-too-large', 'ERR_REQUEST_REFUSED', 6],
    ['mgmt-service-no-header', 'ERR_REQUEST_REFUSED', 6],
    ['mgmt-post-405', 'ERR_REQUEST_REFUSED', 6],
    ['mgmt-lookup-failed', 'ERR_SERVICE_FAILED', 7],
  ])('%s: %s', async (name, code, exit) => {
    recorded(name)
    const said = await outcome(askManagement())
    expect([said.code, said.exit]).toEqual([code, exit])
    expect(said.message).not.toMatch(/[<>]/)
  })

  test('gateway-502: a gateway that fails is asked again, three times in all', async () => {
    recorded('gateway-502')
    expect((await outcome(askManagement())).code).toBe('ERR_SERVICE_FAILED')
    expect(replay.asked).toHaveLength(3)
  })
})

test('the subject of a recorded certificate is the one that was announced, though its bytes and order differ', async () => {
  recorded('info-ok')
  const { subject } = await askInfo()
  recorded('csr-ok')
  const [leaf] = await askSigning()
  const issued = (leaf?.subject ?? '').split('\n').map((part) => {
    const [type = '', value = ''] = part.split('=')
    return [{ type, value }]
  })
  expect(isSubjectAskedFor(issued, subject)).toBe(true)
  expect(issued.map(([part]) => part?.type)).not.toEqual(subject.map(([part]) => part?.type))
})

test('no token of a recorded answer is traced', async () => {
  recorded('info-ok')
  const { csrUrl: url } = await askInfo()
  const learned = url.searchParams.get('token') ?? 'none'
  expect(replay.traced.join('\n')).toContain('token=REDACTED')
  expect(replay.traced.join('\n')).not.toContain(learned)
  expect(replay.traced.join('\n')).not.toContain(token)
})

test('an answer with more than ten certificates is refused before any of them is parsed', async () => {
  recorded('csr-ok')
  const { body = '' } = replay.answer
  const answer = JSON.parse(body) as { crt: string; clientCrt: string; caCrt: string }
  const der = Buffer.from(
    Buffer.from(answer.caCrt, 'base64')
      .toString()
      .replace(/-----[A-Z ]+-----|\s/g, ''),
    'base64',
  )
  const pems = Array.from({ length: 11 }, (_, index) => {
    der.writeUInt8(index, der.length - 1)
    return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  })
  replay.answer = {
    ...replay.answer,
    body: JSON.stringify({ ...answer, caCrt: Buffer.from(pems.join('')).toString('base64') }),
  }
  const said = await outcome(askSigning())
  expect([said.code, said.message]).toEqual([
    'ERR_ANSWER_MALFORMED',
    expect.stringContaining('more than 10 certificates'),
  ])
})
