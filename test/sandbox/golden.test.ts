/** Replays the exchanges that were recorded with Kyma 1.0 and expects the same answers from the sandbox. */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { authorityFromPem, createClientAuthority } from '../../src/sandbox/pki/authority.js'
import { issueClientCertificate } from '../../src/sandbox/pki/issue.js'
import { readFirstDer, readMembers, TAG } from '../../src/sandbox/pki/der.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { RSA_SHA256 } from '../../src/sandbox/pki/signature-algorithm.js'
import { exchanges, type Exchange } from '../support/golden.js'
import { clientKey, clientSpki, csrBody, hashOf, opensslRequest, pair, subjectOf, type Identity } from './identity.js'
import { send, startTestSandbox, stringIn, wireTo, type Call, type Reply } from './wire.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Exchanges that are not compared, and why. */
const NOT_REPLAYED: Readonly<Record<string, string>> = {
  'info-lookup-failed': 'the sandbox looks up no runtime',
  'info-lookup-failed-again': 'the sandbox looks up no runtime',
  'mgmt-lookup-failed': 'the sandbox looks up no runtime',
  'info-ttl-0': 'a time to live of 0 is not an option of the sandbox',
  'csr-ca-secret-missing': 'the CA of the sandbox is never missing',
  'csr-ok-intermediate-ca': 'the sandbox has no intermediate CA',
  'renew-intermediate-leaf-only': 'the sandbox has no intermediate CA',
  'connector-v1-redirect': 'neither ingress serves this path',
  'renew-on-connector-host': 'recorded with NGINX in the place of Istio, whose 404 has no body',
  'gateway-502': 'the services of the sandbox are never missing',
  'mgmt-wrong-port': 'the recorded port belonged to another program',
  'events-bus-down': 'the bus of the sandbox is never down',
  'events-bus-empty200': 'the bus of the sandbox works',
  'events-bus-err500': 'the bus of the sandbox works',
  'events-bus-json200': 'recorded with another bus',
  'events-bus-slow': 'the bus of the sandbox works',
  'events-bus-text500': 'the bus of the sandbox works',
}

/** Answers that are compared up to here: the sandbox has other words for the rest. */
const PREFIX_ONLY: Readonly<Record<string, string>> = {
  // The rest is the internal state of Go's ASN.1 parser.
  'csr-pem-not-csr': '{"code":400,"error":"Error while parsing CSR: asn1: structure error: ',
  'renew-certificate-as-csr': '{"code":400,"error":"Error while parsing CSR: asn1: structure error: ',
}

/** The exchanges whose order matters, in the order of the recording. */
const STORY = [
  'registry500-empty',
  'registry500-list',
  'registry500-put-middle',
  'registry500-get-labels',
  ...namesLike(/^registry-create-swagger-/),
  'registry-list-empty',
  'registry-list-revoked',
  'registry-create-openapi',
  'registry-create-duplicate-identifier',
  'registry-create-swagger',
  'registry-create-events',
  'registry-create-both',
  'registry-create-basic',
  'registry-create-oauth',
  'registry-create-certgen',
  'registry-create-certgen-no-cn',
  'registry-create-api-no-spec',
  'registry-create-credentials-empty',
  'registry-create-spec-empty-object',
  'registry-create-spec-null',
  'registry-create-odata-json',
  'registry-create-specurl',
  'registry-create-specurl-yaml',
  'registry-create-odata',
  'registry-create-specurl-and-spec',
  'registry-create-same-again',
  'registry-create-duplicate-identifier-percent-1',
  'registry-create-duplicate-identifier-percent-2',
  'registry-list',
  ...namesLike(/^registry-get-(?!after|deleted|nonascii|unknown)/),
  'registry-put-ok',
  'registry-get-after-put',
  'registry-put-no-spec',
  'registry-get-after-put-no-spec',
  'registry-put-events-only',
  'registry-get-after-put-events-only',
  'registry-put-no-credentials',
  'registry-get-after-put-no-credentials',
  'registry-put-starred',
  'registry-put-invalid',
  'registry-delete-ok',
  'registry-get-deleted',
  'registry-accepts-blank-name',
  'registry-accepts-targeturl-no-scheme',
  'registry-accepts-targeturl-ftp',
  'registry-accepts-targeturl-localhost',
  'registry-accepts-targeturl-mailto',
  'registry-accepts-targeturl-underscore',
  'registry-accepts-targeturl-ip',
  'registry-accepts-targeturl-query',
  'registry-accepts-targeturl-fragment-only',
  'registry-accepts-events-spec-null',
  'registry-accepts-events-spec-empty',
  ...namesLike(/^registry-accepts-.*-get$/),
  'registry-create-unknown-fields',
  'registry-get-unknown-fields',
  'registry-create-content-type-text',
  'registry-create-nonascii',
  'registry-get-nonascii',
  'registry-body-4mb',
  'gateway-extra-attributes-metadata',
  'gateway-order-metadata',
  'registry-put-api-only-no-spec',
  'registry-get-after-put-api-only-no-spec',
  'registry-put-api-with-spec-only',
  'registry-get-after-put-api-with-spec-only',
  'registry-put-content-id',
  'registry-credentials-switch',
  'registry-credentials-switch-2',
  'registry-credentials-switch-2-get',
  'registry-delete-with-body',
  'mgmt-ok',
  'renew-same-key',
  'renew-new-key',
  'revoke-get-405',
  'revoke-ok',
  'revoke-twice',
  'revoke-with-body',
  'renew-after-revocation',
  'renew-after-revocation-bad-body',
  'renew-other-cert-of-app',
  'mgmt-revoked',
  'events-revoked',
  'revoke-internal-upper-case',
  'renew-after-internal-upper',
  'revoke-1',
  'revoke-2-renew',
  'revoke-4-same-key-other-cert',
  'revoke-5-mgmt',
  'revoke-6-events',
  'revoke-7-metadata',
  'revoke-json-body',
  'revoke-json-body-renew-a',
  'revoke-internal-again',
  'revoke-internal-lower-renew',
]

function namesLike(pattern: RegExp): string[] {
  return [...exchanges.keys()].filter((name) => pattern.test(name))
}

/** The service that some exchanges change and none creates: 'left', with a spec, events and documentation. */
const UNRECORDED_ID = '5853905d-5539-4417-a39f-b2738789af2e'
const UNRECORDED = {
  provider: 'SAP',
  name: 'left',
  description: 'Orders API',
  api: {
    targetUrl: 'https://orders.example/v1',
    spec: { openapi: '3.0.0', info: { title: 'Orders', version: '1.0' }, paths: {} },
  },
  events: { spec: { asyncapi: '1.0.0', info: { title: 'Orders', version: '1.0.0' } } },
  documentation: { displayName: 'D', description: 'd', type: 't' },
}

/** The definitions of services that some exchanges read and none creates, by the id in the recording. */
const UNRECORDED_SWAGGER: Readonly<Record<string, readonly [id: string, name: string, spec: object]>> = {
  'registry-get-swagger-no-paths': [
    'e5dcb1cf-95df-4003-ab1a-970d2b44386e',
    'swagger-no-paths',
    { swagger: '2.0', host: 'h' },
  ],
  'registry-get-swagger-upper-key': [
    'd92f80de-5e54-4ff2-95cd-6cccc92e95fb',
    'swagger-upper-key',
    { Swagger: '2.0', paths: {} },
  ],
}

/** The service in the middle of the 500. */
const MIDDLE_ID = 'e9f60211-a62b-4c76-a3d3-dc07617c4542'
const serviceNumber = (number: number): object => ({
  provider: 'Shop Ltd',
  name: `service ${String(number).padStart(3, '0')}`,
  description: `The service number ${number} of five hundred`,
  labels: { n: String(number) },
  api: { targetUrl: 'https://s.example' },
})

/** The certificates of the exchanges that do not name one; the others were recorded without a certificate. */
const UNNAMED_CERTIFICATES: readonly (readonly [RegExp, string])[] = [
  [/^events-odd-|^revoke-get$/, 'demo'],
  [/^registry500-|^registry-(create|get)-swagger-/, 'shop'],
  [/^expired-/, 'expired'],
  [/^renew-unknown-app$/, 'no.such-app'],
  [/^renew-no-cert$|^renew-no-cn-in-cert-foreign$/, ''],
  [/^renew-mgmt-rsa4096$/, 'rsa4096'],
  [/^renew-|^short-/, 'demo'],
  [/^revoke-4-same-key-other-cert$/, 'order'],
  [/^revoke-[1-7]/, 'revoked'],
  [/^revoke-json-body$/, 'revoked-with-body'],
  [/^revoke-json-body-renew-a$|^revoke-internal-lower-renew$/, 'revoked-inside'],
]
/** The hash of a certificate in the recording: here of 'revoked-inside'. */
const RECORDED_HASH = 'e5a97f1633a68827cf2b6c04e79e8116d39254e14e0c20e1480e37cff5b3c143'

/** Exchanges with the sandbox in central mode, whose bus has subscriptions. */
const inCentral = (name: string): boolean => name.startsWith('central-') || name === 'events-ok-ignored'

/** Exchanges whose token is another App's than demo. */
const APP_OF: Readonly<Record<string, string>> = {
  'csr-ok-unknown-app': 'no-such-app',
  'info-unknown-app': 'no-such-app',
  'info-odd-app-name': 'my app/1,O=x',
}
/** Exchanges whose token was used before. */
const USED_TOKEN = new Set(['csr-reused-after-201', 'info-used-token'])

const TOKEN = /[\w-]{86}==/g
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi
const CERTIFICATES = /(?<=:")LS0t[\w+/=]+/g

let sandbox: Sandbox
let central: Sandbox
let wire: ReturnType<typeof wireTo>
let specifications: Server
let identities: Readonly<Record<string, Identity>>
let stateDirectory: string
/** The ids of this run by those of the recording. */
const ids = new Map<string, string>()

beforeAll(async () => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'sandbox-golden-'))
  sandbox = await startTestSandbox({ servicesPort: 0, stateDirectory })
  central = await startTestSandbox({
    servicesPort: 0,
    central: true,
    subscriptions: [{ type: 'order.created', version: 'v1' }],
  })
  wire = wireTo(sandbox)
  specifications = await serveSpecifications()
  identities = await makeIdentities()
})

afterAll(async () => {
  await Promise.all([sandbox.close(), central.close()])
  specifications.closeAllConnections()
  specifications.close()
  rmSync(stateDirectory, { recursive: true, force: true })
})

/** The server of specifications that ran at 127.0.0.1:18091 during the recording. */
function serveSpecifications(): Promise<Server> {
  const swagger = {
    swagger: '2.0',
    info: { title: 'Orders', version: '1.0' },
    host: 'orders.example',
    basePath: '/v1',
    schemes: ['https'],
    paths: { '/orders': { get: { responses: { '200': { description: 'ok' } } } } },
  }
  const documents: Readonly<Record<string, string>> = {
    '/swagger.json': JSON.stringify(swagger),
    '/yaml': 'openapi: 3.0.0\n',
    '/odata/$metadata': '<?xml version="1.0"?><edmx:Edmx Version="1.0"/>',
  }
  const server = createServer((request, response) => {
    const document = documents[request.url ?? '']
    response.statusCode = document === undefined ? 404 : 200
    response.end(document)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(server)
    })
  })
}

async function makeIdentities(): Promise<Record<string, Identity>> {
  const authority = authorityFromPem(readFileSync(join(stateDirectory, 'client-ca.pem'), 'utf8'))
  const subject = { C: ['DE'], ST: [], L: [], O: [], OU: [], CN: ['demo'], serialNumber: [] }
  const request = { subject, publicKey: clientSpki }
  const issued = (by: typeof authority, from: number): Identity => ({
    cert: issueClientCertificate(by, request, RSA_SHA256, new Date(Date.now() + from), 3600),
    key: clientKey,
  })
  const DAY = 24 * 60 * 60 * 1000
  return {
    demo: await pair(sandbox, 'demo'),
    // Signed within one second, certificates without a difference in their subjects would be identical.
    'demo-new': await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=1'),
    'demo-renewed': await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=2'),
    shop: await pair(sandbox, 'shop'),
    'no-such-app': await pair(sandbox, 'no-such-app'),
    'no.such-app': await pair(sandbox, 'no.such-app'),
    revoked: await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=8'),
    'revoked-with-body': await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=9'),
    'revoked-inside': await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=10'),
    central: await pairCentral('applications', 'demo'),
    runtime: await pairCentral('runtimes', '*Runtime*'),
    order: await pair(sandbox, 'demo', '/O=Organization/OU=OrgUnit/L=Waldorf/ST=Waldorf/C=DE/CN=demo/serialNumber=4'),
    extra: await pair(
      sandbox,
      'demo',
      '/OU=OrgUnit/OU=Second/O=Organization/L=Waldorf/ST=Waldorf/C=DE/CN=demo/emailAddress=a@b.c/serialNumber=7/GN=Ann/DC=x',
    ),
    rsa4096: await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=3'),
    expired: issued(authority, -DAY),
    notyet: issued(authority, DAY),
    foreign: issued(await createClientAuthority(new Date()), 0),
  }
}

async function pairCentral(kind: 'applications' | 'runtimes', name: string): Promise<Identity> {
  const token = await centralToken(kind)
  const csr = csrBody(opensslRequest(`/O=tenant1/OU=group1/L=Waldorf/ST=Waldorf/C=DE/CN=${name}`))
  const reply = await wireTo(central).connector(`/v1/${kind}/certificates?token=${token}`, {
    method: 'POST',
    body: csr,
  })
  return { cert: Buffer.from(stringIn(reply.body, 'clientCrt'), 'base64').toString(), key: clientKey }
}

async function centralToken(kind: 'applications' | 'runtimes'): Promise<string> {
  const headers = { Tenant: 'tenant1', Group: 'group1', ...(kind === 'applications' && { Application: 'demo' }) }
  const { body } = await wireTo(central).internal(`/v1/${kind}/tokens`, { method: 'POST', headers })
  return stringIn(body, 'token')
}

/** A text of the recording with the ids, hashes and addresses of this run. */
function here(text: string): string {
  const { port } = specifications.address() as AddressInfo
  return text
    .replaceAll('127.0.0.1:18091', `127.0.0.1:${port}`)
    .replaceAll(RECORDED_HASH, () => hashOf(identities['revoked-inside'] ?? { cert: '', key: '' }))
    .replace(UUID, (id) => ids.get(id) ?? id)
}

async function replay(exchange: Exchange): Promise<{ reply: Reply; sent: string }> {
  const { method, headers, clientCertificate } = exchange.request
  const token = await tokenFor(exchange)
  const url = here(
    exchange.request.url.replace(/(?<=token=)[\w-]{86}(==)?/, (_, padding?: string) =>
      padding ? token : token.slice(0, -2),
    ),
  )
  const recordedBody = exchange.request.body
  const body = recordedBody === undefined ? undefined : here(recordedBody)
  const call: Call = {
    method,
    headers: exchange.name === 'mgmt-chain-cert' ? {} : headers,
    ...(body !== undefined && { body: exchange.name === 'registry-400-bom' ? Buffer.from(body, 'latin1') : body }),
    ...identityFor(exchange.name, clientCertificate),
  }
  return { reply: await sendHere(exchange.name, url, call), sent: `${url}\n${body ?? ''}` }
}

async function tokenFor({ name }: Exchange): Promise<string> {
  if (inCentral(name)) return centralToken(name.includes('runtime') ? 'runtimes' : 'applications')
  const token = await wire.newToken(APP_OF[name] ?? 'demo')
  if (USED_TOKEN.has(name)) await wire.connector(`/v1/applications/signingRequests/info?token=${token}`)
  return token
}

function identityFor(name: string, recordedFile: string | undefined): Partial<Identity> {
  if (name === 'mgmt-chain-cert') {
    const identity = identities['demo']
    if (identity === undefined || sandbox.forProxy === undefined) throw new Error('the sandbox has no servicesPort')
    return { ...identity, cert: identity.cert + readFileSync(sandbox.forProxy.clientCaFile, 'utf8') }
  }
  const recorded = recordedFile?.replace(/^files\/(.*)\.crt$/, '$1')
  const who = inCentral(name) && recorded === 'demo' ? 'central' : recorded
  const whose = who ?? UNNAMED_CERTIFICATES.find(([pattern]) => pattern.test(name))?.[1] ?? ''
  if (whose === '') return {}
  const identity = identities[whose]
  if (identity === undefined) throw new Error(`there is no identity ${whose}`)
  return identity
}

function sendHere(name: string, recordedUrl: string, call: Call): Promise<Reply> {
  // curl, with which the exchanges were recorded, removed dot segments before it sent a path.
  const url = recordedUrl.includes('/../') ? new URL(recordedUrl).href : recordedUrl
  const path = url.replace(/^https?:\/\/[^/]+/, '')
  const there = inCentral(name) ? central : sandbox
  const wire = wireTo(there)
  if (url.startsWith('https://connector-service.')) return wire.connector(path, call)
  if (url.startsWith('https://gateway.'))
    return wire.gateway(path, { ...call, tls: url.includes(':30444/') ? 'TLSv1.3' : 'TLSv1.2' })
  if (url.startsWith('http://gateway.')) return send(url, { ...call, port: there.ready.gatewayPort })
  if (/^http:\/\/127\.0\.0\.1:18[01]80/.test(url)) return wire.internal(path, call)
  if (there.forProxy === undefined) throw new Error('the sandbox has no servicesPort')
  return send(there.forProxy.servicesUrl + path, call)
}

/** A body without the values that differ from run to run: tokens, the Connector's port, certificates, and ids that were not in the request. */
function comparable(body: string, sent: string): string {
  const given = new Set([...(sent.match(UUID) ?? []), ...ids.values()])
  return body
    .replace(CERTIFICATES, '<certificates>')
    .replace(TOKEN, '<token>')
    .replace(/(connector-service\.kyma\.local):\d+/g, '$1')
    .replace(UUID, (id) => (given.has(id) ? id : '<id>'))
}

/** The parts of a certificate that are the same in each run: not issuer, validity and signature. */
function lasting(pem: string): string[] {
  const der = Buffer.from(pem.replace(/-----[^-]*-----|\s/g, ''), 'base64')
  const [toBeSigned, algorithm] = readMembers(readFirstDer(der), TAG.sequence, 3)
  const [version, serial, signature, , , subject, key, extensions] = readMembers(toBeSigned, TAG.sequence, 8)
  return [version, serial, signature, subject, key, extensions, algorithm].map(
    (part) => part?.bytes.toString('hex') ?? '',
  )
}

const decoded = (body: string, name: string): string => Buffer.from(stringIn(body, name), 'base64').toString()

async function replayAndCompare(exchange: Exchange): Promise<void> {
  const { reply, sent } = await replay(exchange)
  const expected = exchange.response
  const expectedBody = expected.body ?? ''
  const created = /^\{"id":"(.*)"\}\n$/
  const recordedId = created.exec(expectedBody)?.[1]
  const liveId = created.exec(reply.body)?.[1]
  if (recordedId !== undefined && liveId !== undefined) ids.set(recordedId, liveId)

  const prefix = PREFIX_ONLY[exchange.name] ?? cutBody(exchange, sent)
  const body = comparable(reply.body, sent)
  expect({
    status: reply.status,
    contentType: reply.headers['content-type'],
    location: reply.headers.location,
    // The gateway of the recordings in central mode did not set this header.
    hsts: exchange.name.startsWith('central-') ? undefined : reply.headers['strict-transport-security'],
    body: prefix === undefined ? body : body.slice(0, prefix.length),
  }).toEqual({
    status: expected.status,
    contentType: expected.headers['content-type'],
    location: expected.headers['location'],
    hsts: expected.headers['strict-transport-security'],
    body: prefix ?? comparable(here(expectedBody), sent),
  })
  const recordedLength = /\d+/.exec(expected.bodyNote ?? '')?.[0]
  if (recordedLength !== undefined) expect(reply.body.length).toBe(Number(recordedLength))
  if (expectedBody.startsWith('{"crt":')) {
    expect(lasting(decoded(reply.body, 'clientCrt'))).toEqual(lasting(decoded(expectedBody, 'clientCrt')))
    expect(decoded(reply.body, 'crt')).toBe(decoded(reply.body, 'clientCrt') + decoded(reply.body, 'caCrt'))
  }
}

/** The part of a long answer that was recorded; undefined when the whole answer was. */
function cutBody({ response }: Exchange, sent: string): string | undefined {
  return response.bodyNote === undefined ? undefined : comparable(here(response.body ?? ''), sent)
}

async function createUnrecorded(identity: Identity | undefined, path: string, definition: object): Promise<string> {
  const reply = await wire.gateway(path, { method: 'POST', body: JSON.stringify(definition), ...identity })
  return stringIn(reply.body, 'id')
}

/** Creates the services that an exchange needs and the recording does not have. */
async function prepare({ name, response }: Exchange): Promise<void> {
  const shop = '/shop/v1/metadata/services'
  if (name === 'registry-put-api-only-no-spec')
    ids.set(UNRECORDED_ID, await createUnrecorded(identities['demo'], '/demo/v1/metadata/services', UNRECORDED))
  if (name === 'registry500-list') {
    const recordedIds = response.body?.match(UUID) ?? []
    for (let number = 0; number < 500; number++) {
      const id = await createUnrecorded(identities['shop'], shop, serviceNumber(number))
      ids.set(recordedIds[number] ?? (number === 250 ? MIDDLE_ID : id), id)
    }
  }
  const [id, serviceName, spec] = UNRECORDED_SWAGGER[name] ?? []
  if (id === undefined) return
  const definition = {
    provider: 'p',
    name: serviceName,
    description: 'd',
    api: { targetUrl: 'https://x.example', spec },
  }
  ids.set(id, await createUnrecorded(identities['shop'], shop, definition))
}

const replayed = [...exchanges.values()].filter(({ name }) => !(name in NOT_REPLAYED))
const story = STORY.map((name) => exchanges.get(name)).filter((exchange) => exchange !== undefined)
const storyNames = new Set(STORY)
const single = replayed.filter(({ name }) => !storyNames.has(name))

describe('what was recorded with Kyma 1.0', () => {
  test('is all replayed, except for the exchanges that are listed with a reason', () => {
    expect(story.length).toBe(STORY.length)
    expect(storyNames.size).toBe(STORY.length)
    expect(Object.keys(NOT_REPLAYED).filter((name) => !exchanges.has(name))).toEqual([])
    expect(story.length + single.length + Object.keys(NOT_REPLAYED).length).toBe(exchanges.size)
  })

  test.each(story)(
    'comes back in its order: $name ($what)',
    async (exchange) => {
      await prepare(exchange)
      await replayAndCompare(exchange)
    },
    300_000,
  )

  test.each(single)('comes back: $name ($what)', replayAndCompare)

  test('is replayed with certificates that all differ', () => {
    const hashes = Object.values(identities).map(hashOf)
    expect(new Set(hashes).size).toBe(hashes.length)
  })
})
