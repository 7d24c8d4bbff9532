/** Replays the exchanges recorded with Kyma 1.0 and expects the sandbox to answer as Kyma did. */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  authorityFromPem,
  createClientAuthority,
  issueClientCertificate,
} from '../../src/sandbox/pki/certificate-authority.js'
import { readFirstDer, readMembers, TAG } from '../../src/sandbox/pki/der.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { RSA_SHA256 } from '../../src/sandbox/pki/signature-algorithm.js'
import { exchanges, type Exchange } from '../support/golden.js'
import { clientKey, clientSpki, hashOf, pair, subjectOf, type Identity } from './identity.js'
import { send, startTestSandbox, stringIn, wireTo, type Call, type Reply } from './wire.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Exchanges that the sandbox does not have, and why. */
const NOT_REPLAYED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [...exchanges.keys()].filter((name) => name.startsWith('central-')).map((name) => [name, 'central mode']),
  ),
  'info-lookup-failed': 'no runtime is looked up',
  'info-lookup-failed-again': 'no runtime is looked up',
  'mgmt-lookup-failed': 'no runtime is looked up',
  'info-ttl-0': 'a setting of the service',
  'csr-ca-secret-missing': 'the CA is never missing',
  'csr-ok-intermediate-ca': 'there is no intermediate CA',
  'connector-v1-redirect': 'neither ingress shows it',
  'gateway-502': 'no App lacks its services',
  'mgmt-wrong-port': 'tells nothing of the services',
  'events-bus-down': 'the bus is there',
  'events-bus-empty200': 'the bus is there',
  'events-bus-err500': 'the bus is there',
  'events-bus-json200': 'another bus',
  'events-bus-slow': 'the bus is there',
  'events-bus-text500': 'the bus is there',
}

/** Texts of Go's libraries that the sandbox gives in other words: compared up to here only. */
const PREFIX_ONLY: Readonly<Record<string, string>> = {
  // Prints the innards of Go's ASN.1 parser.
  'csr-pem-not-csr': '{"code":400,"error":"Error while parsing CSR: asn1: structure error: ',
}

/** Where the order of the exchanges matters, in the order of the recording. */
const STORY = [
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
]

function namesLike(pattern: RegExp): string[] {
  return [...exchanges.keys()].filter((name) => pattern.test(name))
}

/** The service that some exchanges change and none makes: 'left', with a spec, events and documentation. */
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
let wire: ReturnType<typeof wireTo>
let specifications: Server
let identities: Readonly<Record<string, Identity>>
let stateDirectory: string
/** Ids of the recording and what they are here. */
const ids = new Map<string, string>()

beforeAll(async () => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'sandbox-golden-'))
  sandbox = await startTestSandbox({ servicesPort: 0, stateDirectory })
  wire = wireTo(sandbox)
  specifications = await serveSpecifications()
  identities = await makeIdentities()
})

afterAll(async () => {
  await sandbox.close()
  specifications.closeAllConnections()
  specifications.close()
  rmSync(stateDirectory, { recursive: true, force: true })
})

/** What stood at 127.0.0.1:18091 during the recording. */
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
    // Signed within one second they would be one and the same.
    'demo-new': await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=1'),
    'demo-renewed': await pair(sandbox, 'demo', subjectOf('demo') + '/serialNumber=2'),
    shop: await pair(sandbox, 'shop'),
    'no-such-app': await pair(sandbox, 'no-such-app'),
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

/** A text of the recording with the ids and addresses of here. */
function here(text: string): string {
  const { port } = specifications.address() as AddressInfo
  return text.replaceAll('127.0.0.1:18091', `127.0.0.1:${port}`).replace(UUID, (id) => ids.get(id) ?? id)
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
  return { reply: await sendHere(url, call), sent: `${url}\n${body ?? ''}` }
}

async function tokenFor({ name }: Exchange): Promise<string> {
  const token = await wire.newToken(APP_OF[name] ?? 'demo')
  if (USED_TOKEN.has(name)) await wire.connector(`/v1/applications/signingRequests/info?token=${token}`)
  return token
}

function identityFor(name: string, file: string | undefined): Partial<Identity> {
  if (name === 'mgmt-chain-cert') {
    const identity = identities['demo']
    if (identity === undefined || sandbox.forProxy === undefined) throw new Error('not set up')
    return { ...identity, cert: identity.cert + readFileSync(sandbox.forProxy.clientCaFile, 'utf8') }
  }
  if (file === undefined) return {}
  const identity = identities[file.replace(/^files\/(.*)\.crt$/, '$1')]
  if (identity === undefined) throw new Error(`no identity for ${file}`)
  return identity
}

function sendHere(recordedUrl: string, call: Call): Promise<Reply> {
  const url = recordedUrl
  const path = url.replace(/^https?:\/\/[^/]+/, '')
  if (url.startsWith('https://connector-service.')) return wire.connector(path, call)
  if (url.startsWith('https://gateway.'))
    return wire.gateway(path, { ...call, tls: url.includes(':30444/') ? 'TLSv1.3' : 'TLSv1.2' })
  if (url.startsWith('http://gateway.')) return send(url, { ...call, port: sandbox.ready.gatewayPort })
  if (url.startsWith('http://127.0.0.1:18080')) return wire.internal(path, call)
  if (sandbox.forProxy === undefined) throw new Error('not set up')
  return send(sandbox.forProxy.servicesUrl + path, call)
}

/** A body with what differs from run to run blotted out: tokens, the Connector's port, certificates, and ids that were not asked for. */
function comparable(body: string, sent: string): string {
  const given = new Set([...(sent.match(UUID) ?? []), ...ids.values()])
  return body
    .replace(CERTIFICATES, '<certificates>')
    .replace(TOKEN, '<token>')
    .replace(/(connector-service\.kyma\.local):\d+/g, '$1')
    .replace(UUID, (id) => (given.has(id) ? id : '<id>'))
}

/** A certificate without what must differ: issuer, validity, signature. */
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

  const prefix = PREFIX_ONLY[exchange.name]
  const body = comparable(reply.body, sent)
  expect({
    status: reply.status,
    contentType: reply.headers['content-type'],
    location: reply.headers.location,
    hsts: reply.headers['strict-transport-security'],
    body: prefix === undefined ? body : body.slice(0, prefix.length),
  }).toEqual({
    status: expected.status,
    contentType: expected.headers['content-type'],
    location: expected.headers['location'],
    hsts: expected.headers['strict-transport-security'],
    body: prefix ?? comparable(here(expectedBody), sent),
  })
  if (expectedBody.startsWith('{"crt":')) {
    expect(lasting(decoded(reply.body, 'clientCrt'))).toEqual(lasting(decoded(expectedBody, 'clientCrt')))
    expect(decoded(reply.body, 'crt')).toBe(decoded(reply.body, 'clientCrt') + decoded(reply.body, 'caCrt'))
  }
}

const replayed = [...exchanges.values()].filter(({ name }) => !(name in NOT_REPLAYED))
const story = STORY.map((name) => exchanges.get(name)).filter((exchange) => exchange !== undefined)
const storyNames = new Set(STORY)
const single = replayed.filter(({ name }) => !storyNames.has(name))

describe('what was recorded with Kyma 1.0', () => {
  test('is all replayed, but for what the sandbox does not have', () => {
    expect(story.length).toBe(STORY.length)
    expect(storyNames.size).toBe(STORY.length)
    expect(Object.keys(NOT_REPLAYED).filter((name) => !exchanges.has(name))).toEqual([])
    expect(story.length + single.length + Object.keys(NOT_REPLAYED).length).toBe(exchanges.size)
  })

  test.each(story)('comes back in its order: $name ($what)', async (exchange) => {
    if (exchange.name === 'registry-put-api-only-no-spec') {
      const call = { method: 'POST', body: JSON.stringify(UNRECORDED), ...identities['demo'] }
      ids.set(UNRECORDED_ID, stringIn((await wire.gateway('/demo/v1/metadata/services', call)).body, 'id'))
    }
    await replayAndCompare(exchange)
  })

  test.each(single)('comes back: $name ($what)', replayAndCompare)

  test('told of certificates that all differ here', () => {
    const hashes = Object.values(identities).map(hashOf)
    expect(new Set(hashes).size).toBe(hashes.length)
  })
})
