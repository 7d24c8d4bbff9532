import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { cp } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { exitCodeOf } from '../../src/cli/exit-codes.js'
import { isRevokedRefusal } from '../../src/connector/revocation.js'
import { fetchManagementInfo } from '../../src/connector/management-info.js'
import { requestSigning } from '../../src/connector/signing.js'
import { FilesError, KyconnectError } from '../../src/errors.js'
import { IdentityGateway } from '../../src/gateway/gateway.js'
import type { FolderStore } from '../../src/identity/folder-store.js'
import type { Metadata } from '../../src/identity/identity.js'
import type { ProfileChange } from '../../src/identity/store.js'
import { parseResolveRule } from '../../src/identity/route.js'
import type { PairDeps } from '../../src/pairing/policy.js'
import { fingerprint, verifyChain } from '../../src/pki/chain.js'
import type { DistinguishedName } from '../../src/pki/distinguished-name.js'
import '../../src/pki/peculiar.js'
import { Redactor } from '../../src/redaction.js'
import { renewIdentity } from '../../src/renewal/renew.js'
import { revokeIdentity } from '../../src/renewal/revoke.js'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, startFakeKyma } from '../support/fake-kyma.js'
import { type Exchange, exchanges } from '../support/golden.js'
import { storeAt } from '../support/identities.js'
import { kyconnect } from '../support/kyconnect.js'
import { Pkcs10CertificateRequest } from '@peculiar/x509'

/**
 * Every recorded answer about renewals and revocations goes through the flow that reads it. The flow sends its own request, so a
 * recorded certificate is one for another key here.
 */
const recordings = [...exchanges.values()].filter(({ name }) =>
  /^(?:renew|revoke|short|expired-re|central-renew)/.test(name),
)
const ofPath = (end: string): Exchange[] =>
  recordings.filter(({ request }) => new URL(request.url).pathname.endsWith(end))
const renewals = ofPath('/renewals')
const revocations = ofPath('/revocations')
const managementInfos = ofPath('/management/info')
/** Calls of the App with a revoked certificate. */
const calls = [...ofPath('/v1/events'), ...ofPath('/v1/metadata/services')]

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let fake: FakeKyma
let store: FolderStore
let homes = 0
let before: Metadata

beforeAll(async () => {
  ;[folder, fake] = await Promise.all([temporaryFolder('renewals'), startFakeKyma()])
  const env = { ...fake.env, KUBECONFIG: '', KYCONNECT_HOME: join(folder.path, 'template') }
  const paired = await kyconnect(['pair', '--url', '-'], { env, input: fake.tokenUrl })
  expect(paired.code, paired.stderr).toBe(0)
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})
beforeEach(async () => {
  const home = join(folder.path, `home-${homes++}`)
  await cp(join(folder.path, 'template'), home, { recursive: true, verbatimSymlinks: true })
  store = storeAt(home)
  before = (await store.load('demo')).metadata
  fake.requests.length = 0
})
afterEach(() => {
  fake.faults = {}
})

function deps(): PairDeps {
  const rule = parseResolveRule(fake.env['KYCONNECT_RESOLVE'] ?? '')
  return {
    store,
    choice: {
      nodePort: fake.gatewayPort,
      resolve: rule === undefined ? [] : [rule],
      serverCa: undefined,
      proxy: null,
      insecure: false,
      timeoutMs: 60_000,
      environment: { proxy: undefined, noProxy: [], rootFiles: [], systemRootFiles: [] },
    },
    transport: {
      redactor: new Redactor(),
      trace: undefined,
      signal: new AbortController().signal,
      now: () => performance.now(),
      sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    },
    emit: () => undefined,
    now: () => new Date(),
  }
}

type Recorded = Pick<Exchange['response'], 'status' | 'headers' | 'body'>

/** Answers as it was recorded, byte for byte. */
function replay(response: ServerResponse, { status, headers, body }: Recorded): void {
  const framing = /^(?:content-length|connection|transfer-encoding)$/
  response.writeHead(status, Object.fromEntries(Object.entries(headers).filter(([name]) => !framing.test(name))))
  response.end(body ?? '')
}

async function failure(work: Promise<unknown>): Promise<KyconnectError | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof KyconnectError) return error
      throw error
    },
  )
}

/** What a renewal makes of an answer. @returns the error, and what is stored afterwards */
async function renew(answer: Recorded): Promise<{ error: KyconnectError | undefined; stored: Metadata }> {
  fake.faults.renewal = (_, response) => {
    replay(response, answer)
  }
  const request = { key: { kind: 'reused' } as const, onlyDue: undefined, hasHook: false }
  const error = await failure(renewIdentity('demo', request, deps()))
  return { error, stored: (await store.load('demo')).metadata }
}

async function revoke(answer: Recorded): Promise<{ error: KyconnectError | undefined; stored: Metadata }> {
  fake.faults.revocation = (_, response) => {
    replay(response, answer)
  }
  const error = await failure(revokeIdentity(await store.load('demo'), deps()))
  return { error, stored: (await store.load('demo')).metadata }
}

/** An object whose methods are those of another one, but for one of them. */
function withMethod<T extends object, N extends keyof T>(target: T, name: N, method: T[N]): T {
  return new Proxy(target, {
    get: (_, property) => {
      const value: unknown = property === name ? method : Reflect.get(target, property)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** What the recorded request asked for. */
function csrOf({ request: { body } }: Exchange): { key: KeyObject; subject: DistinguishedName } {
  const { csr } = JSON.parse(body ?? '') as { csr: string }
  const pem = Buffer.from(csr, 'base64').toString('utf8')
  const parsed = new Pkcs10CertificateRequest(pem)
  const key = createPublicKey({ key: Buffer.from(parsed.publicKey.rawData), format: 'der', type: 'spki' })
  const subject = parsed.subjectName
    .toJSON()
    .map((part) => Object.entries(part).flatMap(([type, values]) => values.map((value) => ({ type, value }))))
  return { key, subject }
}

test('every recording belongs to one of the flows', () => {
  const sorted = [...renewals, ...revocations, ...managementInfos, ...calls].map(({ name }) => name).sort()
  expect(sorted).toEqual(recordings.map(({ name }) => name).sort())
  expect([renewals.length, revocations.length, managementInfos.length, calls.length]).toEqual([43, 18, 2, 2])
})

describe('a recorded renewal', () => {
  const named = (from: readonly Exchange[]): (readonly [string, Exchange])[] =>
    from.map((exchange) => [exchange.name, exchange] as const)
  const signed = renewals.filter(({ response }) => response.status === 201)
  const refused = renewals.filter(({ response }) => response.status !== 201)

  test.each(named(signed))('%s: its certificate and chain verify against the recorded CSR', async (_, exchange) => {
    const gateway = new IdentityGateway(await store.load('demo'), deps().choice, deps().transport, () => new Date())
    fake.faults.renewal = (_request, response) => {
      replay(response, exchange.response)
    }
    const url = new URL(before.urls['renewCertUrl'] ?? '')
    const answered = await requestSigning(gateway.client, url, 'the CSR', () => undefined)
    await gateway.close()
    if (answered.outcome !== 'signed') throw new Error('a 201 counts as refused')
    const { key, subject } = csrOf(exchange)
    const { leaf, intermediates, roots } = await verifyChain(answered.certificates, key, subject)
    expect(intermediates).toHaveLength(exchange.name === 'renew-intermediate-leaf-only' ? 1 : 0)
    expect(roots).toHaveLength(1)
    expect(fingerprint(leaf)).toMatch(/^[0-9a-f]{64}$/)
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await expect(verifyChain(answered.certificates, publicKey, subject)).rejects.toThrow('not for the key in the CSR')
  })

  test.each(named(signed))(
    '%s: is refused for the key that we have, and the present identity stays',
    async (_, exchange) => {
      const { error, stored } = await renew(exchange.response)
      expect(error?.code).toBe('ERR_CERTIFICATE_UNVERIFIED')
      expect(stored.rejectedAt).not.toBeNull()
      expect({ ...stored, rejectedAt: null }).toEqual(before)
    },
  )

  const revokedNames = [
    'renew-after-revocation',
    'renew-after-revocation-bad-body',
    'revoke-2-renew',
    'revoke-internal-lower-renew',
  ]

  test('is refused as revoked in four recordings', () => {
    const found = refused.filter(({ response: { status, body = '' } }) => isRevokedRefusal({ status, body }))
    expect(found.map(({ name }) => name).sort()).toEqual(revokedNames)
  })

  test.each(named(refused))(
    '%s: ends with the error that fits, and only a revoked certificate is marked',
    async (name, { response }) => {
      const { error, stored } = await renew(response)
      const isPage = response.headers['content-type'] === 'text/html'
      const code = revokedNames.includes(name)
        ? 'ERR_CERTIFICATE_REVOKED'
        : response.status >= 500
          ? 'ERR_SERVICE_FAILED'
          : response.status === 400 && isPage
            ? 'ERR_CLIENT_CERTIFICATE_REFUSED'
            : 'ERR_REQUEST_REFUSED'
      expect(error?.code).toBe(code)
      expect(exitCodeOf(code)).toBe(
        {
          ERR_CERTIFICATE_REVOKED: 4,
          ERR_CLIENT_CERTIFICATE_REFUSED: 4,
          ERR_SERVICE_FAILED: 7,
          ERR_REQUEST_REFUSED: 6,
        }[code],
      )
      expect(stored).toEqual({ ...before, revokedAt: revokedNames.includes(name) ? stored.revokedAt : null })
      expect(stored.revokedAt !== null).toBe(revokedNames.includes(name))
      if (!revokedNames.includes(name)) return
      // No request is sent for a marked certificate.
      fake.requests.length = 0
      expect((await renew(response)).error?.code).toBe('ERR_CERTIFICATE_REVOKED')
      expect(fake.requests).toEqual([])
    },
  )

  test('is reported as revoked even if that cannot be stored', async () => {
    const recorded = exchanges.get('renew-after-revocation')?.response
    if (recorded === undefined) throw new Error('the recording is missing')
    fake.faults.renewal = (_, response) => {
      replay(response, recorded)
    }
    const full: ProfileChange['amend'] = () => Promise.reject(new FilesError('no space left on the disk'))
    const locked: FolderStore['locked'] = (profile, work, patienceMs) =>
      store.locked(profile, (change) => work(withMethod(change, 'amend', full)), patienceMs)
    const failing = withMethod(store, 'locked', locked)
    const request = { key: { kind: 'reused' }, onlyDue: undefined, hasHook: false } as const
    const error = await failure(renewIdentity('demo', request, { ...deps(), store: failing }))
    expect(error?.code).toBe('ERR_CERTIFICATE_REVOKED')
    expect((await store.load('demo')).metadata).toEqual(before)
  })

  const html = { 'content-type': 'text/html' }
  const forbidden = exchanges.get('gateway-other-app-metadata')?.response ?? { status: 0, headers: {} }
  test.each<[string, Recorded]>([
    ['the page that NGINX answered for another App', forbidden],
    [
      'the answer of an Istio gateway',
      {
        status: 403,
        headers: { 'content-type': 'application/json' },
        body: '{"code":403,"error":"no valid subject found"}',
      },
    ],
    [
      'the answer of an Istio policy',
      { status: 403, headers: { 'content-type': 'text/plain' }, body: 'RBAC: access denied' },
    ],
    [
      'a page that speaks of revocation',
      { status: 403, headers: html, body: '<html><h1>Certificate has been revoked.</h1></html>' },
    ],
    [
      'the words with another status',
      {
        status: 400,
        headers: { 'content-type': 'application/json' },
        body: '{"code":400,"error":"Certificate has been revoked."}',
      },
    ],
  ])('%s does not mean that the certificate is revoked', async (_, answer) => {
    const { error, stored } = await renew(answer)
    expect(error?.code).toBe('ERR_REQUEST_REFUSED')
    expect(stored).toEqual(before)
  })
})

describe('a recorded revocation', () => {
  test.each(revocations.map((exchange) => [exchange.name, exchange.response] as const))(
    '%s: a 201 marks the certificate, and nothing else does',
    async (_, response) => {
      const { error, stored } = await revoke(response)
      const isPage = response.headers['content-type'] === 'text/html'
      const code =
        response.status === 201 ? undefined : isPage ? 'ERR_CLIENT_CERTIFICATE_REFUSED' : 'ERR_REQUEST_REFUSED'
      expect(error?.code).toBe(code)
      expect(stored.revokedAt !== null).toBe(response.status === 201)
      expect({ ...stored, revokedAt: null }).toEqual(before)
    },
  )
})

describe('a recorded management info', () => {
  test.each(managementInfos.map((exchange) => [exchange.name, exchange.response] as const))(
    '%s: names the URLs of an App, also to a certificate that is revoked',
    async (_, recorded) => {
      fake.faults.management = (_request, response) => {
        replay(response, recorded)
      }
      const { choice, transport } = deps()
      const gateway = new IdentityGateway(await store.load('demo'), choice, transport, () => new Date())
      const info = await fetchManagementInfo(gateway.client, new URL(before.urls['infoUrl'] ?? ''))
      await gateway.close()
      expect(info.application).toBe('demo')
      expect(info.urls.revokeCertUrl).toBe('https://gateway.kyma.local/v1/applications/certificates/revocations')
      expect(info.urls.renewCertUrl).toBe('https://gateway.kyma.local/v1/applications/certificates/renewals')
      expect(info.keyAlgorithm).toBe('rsa2048')
      expect(info.subject?.flat()).toContainEqual({ type: 'CN', value: 'demo' })
    },
  )
})

test.each(calls.map((exchange) => [exchange.name, exchange] as const))(
  '%s: a certificate that is marked as revoked calls the App, and the answer is passed on unchanged',
  async (_, { request, response: recorded }) => {
    let received: string | undefined
    fake.faults.call = (_request, response, body) => {
      received = body
      replay(response, recorded)
    }
    await store.locked('demo', (change) => change.amend((metadata) => ({ ...metadata, revokedAt: new Date() })))
    const endpoint = request.url.endsWith('/events') ? 'events' : 'metadata'
    const env = { ...fake.env, KUBECONFIG: '', KYCONNECT_HOME: join(folder.path, `home-${homes - 1}`) }
    const called = await kyconnect(['call', endpoint, '--data', request.body ?? ''], { env })
    expect([called.code, called.stdout], called.stderr).toEqual([0, recorded.body])
    expect(received).toBe(request.body)
  },
)
