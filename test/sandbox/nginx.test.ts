/** Sends the same requests to the built-in gateway and to a real NGINX in its place, and expects the same answers. */
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toSubjectHeader } from '../../src/sandbox/http/subject-header.js'
import { authorityFromPem, createClientAuthority } from '../../src/sandbox/pki/authority.js'
import { issueClientCertificate } from '../../src/sandbox/pki/issue.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { RSA_SHA256 } from '../../src/sandbox/pki/signature-algorithm.js'
import { startNginxGateway, type NginxGateway } from '../support/nginx.js'
import { clientKey, clientSpki, csrBody, opensslRequest, pair, subjectOf, type Identity } from './identity.js'
import { send, startTestSandbox, wireTo, type Call, type Reply } from './wire.js'

const MIB = 1024 * 1024
const EVENT = JSON.stringify({
  'event-type': 'order.created',
  'event-type-version': 'v1',
  'event-time': '2019-04-11T08:30:00Z',
  'event-id': '31109198-4d69-4ae0-972d-76117f3748c8',
  data: { orderCode: '76545762' },
})

interface Case {
  readonly what: string
  readonly path: string
  readonly who?: string
  readonly call?: Call
  readonly status: number
}

const MANAGEMENT = '/v1/applications/management/info'
const RENEWALS = '/v1/applications/certificates/renewals'
const cases: readonly Case[] = [
  { what: 'no certificate', path: MANAGEMENT, status: 400 },
  { what: 'no certificate, and an unknown path', path: '/v1/foo', status: 400 },
  { what: 'no certificate, and a body over the limit', path: RENEWALS, call: post('x'.repeat(2 * MIB)), status: 400 },
  { what: 'a certificate of another CA of the same name', path: MANAGEMENT, who: 'foreign', status: 400 },
  { what: 'an expired certificate', path: MANAGEMENT, who: 'expired', status: 400 },
  { what: 'a certificate that is not yet valid', path: MANAGEMENT, who: 'notYet', status: 400 },
  { what: 'the right certificate', path: MANAGEMENT, who: 'demo', status: 200 },
  { what: 'a forged subject header', path: MANAGEMENT, who: 'demo', status: 200, call: forged() },
  { what: 'a second OU in the subject', path: MANAGEMENT, who: 'twoUnits', status: 200 },
  { what: 'a CN beyond ASCII', path: MANAGEMENT, who: 'umlaut', status: 200 },
  { what: 'a CN with a comma and an equals sign', path: MANAGEMENT, who: 'odd', status: 200 },
  { what: 'another App on metadata', path: '/demo/v1/metadata/services', who: 'shop', status: 403 },
  { what: 'another App on events', path: '/demo/v1/events', who: 'shop', call: post('{}'), status: 403 },
  {
    what: 'another App and a body over the limit',
    path: '/demo/v1/events',
    who: 'shop',
    call: post('x'.repeat(6 * MIB)),
    status: 413,
  },
  {
    what: 'an App that the gateway does not know',
    path: '/unknown/v1/events',
    who: 'unknown',
    call: post(EVENT),
    status: 404,
  },
  { what: 'the root', path: '/', who: 'demo', status: 404 },
  { what: 'an unknown path', path: '/v1/foo', who: 'demo', status: 404 },
  { what: 'an unknown path, with HEAD', path: '/v1/foo', who: 'demo', call: { method: 'HEAD' }, status: 404 },
  {
    what: 'signing on the gateway host',
    path: '/v1/applications/signingRequests/info?token=x',
    who: 'demo',
    status: 404,
  },
  { what: 'a longer path than that of a rule of the Connector', path: `${MANAGEMENT}/more`, who: 'demo', status: 404 },
  { what: 'a wrong method', path: MANAGEMENT, who: 'demo', call: post('{}'), status: 405 },
  { what: 'HEAD', path: MANAGEMENT, who: 'demo', call: { method: 'HEAD' }, status: 405 },
  { what: 'a renewal of 1 MiB', path: RENEWALS, who: 'demo', call: post('x'.repeat(MIB)), status: 500 },
  { what: 'a renewal over 1 MiB', path: RENEWALS, who: 'demo', call: post('x'.repeat(MIB + 1)), status: 413 },
  {
    what: 'a chunked renewal over 1 MiB',
    path: RENEWALS,
    who: 'demo',
    call: chunked('x'.repeat(MIB + 1)),
    status: 413,
  },
  {
    what: 'a definition of 5 MiB',
    path: '/demo/v1/metadata/services',
    who: 'demo',
    call: post('x'.repeat(5 * MIB)),
    status: 400,
  },
  {
    what: 'a definition over 5 MiB',
    path: '/demo/v1/metadata/services',
    who: 'demo',
    call: post('x'.repeat(5 * MIB + 1)),
    status: 413,
  },
  {
    what: 'a body over 1 MiB for an unknown path',
    path: '/v1/foo',
    who: 'demo',
    call: post('x'.repeat(MIB + 1)),
    status: 413,
  },
  { what: 'the list of services', path: '/demo/v1/metadata/services', who: 'demo', status: 200 },
  { what: 'the redirect to the API', path: '/demo/v1/metadata', who: 'demo', status: 301 },
  { what: 'a longer path than that of metadata', path: '/demo/v1/metadatamore', who: 'demo', status: 404 },
  { what: 'an event', path: '/demo/v1/events', who: 'demo', call: post(EVENT), status: 200 },
  { what: 'an event with a longer path', path: '/demo/v1/eventsmore', who: 'demo', call: post(EVENT), status: 200 },
  { what: 'an empty event', path: '/demo/v1/events', who: 'demo', call: post(''), status: 400 },
  { what: 'a path with an empty segment', path: '/demo//v1/events', who: 'demo', call: post(EVENT), status: 301 },
  { what: 'a path with a dot segment', path: '/demo/v1/./events?a=b', who: 'demo', call: post(EVENT), status: 301 },
  { what: 'a path that leaves the App', path: '/demo/v1/events/../../../shop/v1/events', who: 'demo', status: 403 },
  {
    what: 'a path that leaves the App in an escaped form',
    path: '/demo/%2e%2e/shop/v1/events',
    who: 'demo',
    status: 403,
  },
  { what: 'an escaped letter', path: '/d%65mo/v1/events', who: 'demo', call: post(EVENT), status: 200 },
  { what: 'events of a later version', path: '/demo/v2/events', who: 'demo', call: post(EVENT), status: 404 },
]

function post(body: string): Call {
  return { method: 'POST', body }
}
function chunked(body: string): Call {
  return { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } }
}
function forged(): Call {
  return { headers: { 'Client-Certificate-Subject': 'CN=shop,C=DE', 'Client-Certificate': 'x' } }
}

let sandbox: Sandbox
let wire: ReturnType<typeof wireTo>
let stateDirectory: string
const gateways = new Map<string, NginxGateway>()
const identities = new Map<string, Identity>()

beforeAll(async () => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'sandbox-nginx-'))
  const apps = ['demo', 'shop']
  sandbox = await startTestSandbox({ apps, servicesPort: 0, stateDirectory })
  wire = wireTo(sandbox)
  const { forProxy } = sandbox
  if (forProxy === undefined) throw new Error('the sandbox has no servicesPort')
  for (const tls of ['TLSv1.2', 'TLSv1.3'] as const) {
    gateways.set(tls, await startNginxGateway({ ...forProxy, apps, tls }))
  }

  const authority = authorityFromPem(readFileSync(join(stateDirectory, 'client-ca.pem'), 'utf8'))
  const HOUR = 3600 * 1000
  const issued = (by: typeof authority, cn: string, from: number): Identity => {
    const subject = {
      C: ['DE'],
      ST: ['Waldorf'],
      L: ['Waldorf'],
      O: ['Organization'],
      OU: ['OrgUnit'],
      CN: [cn],
      serialNumber: [],
    }
    const notBefore = new Date(Date.now() + from)
    return {
      cert: issueClientCertificate(by, { subject, publicKey: clientSpki }, RSA_SHA256, notBefore, 1800),
      key: clientKey,
    }
  }
  identities.set('foreign', issued(await createClientAuthority(new Date()), 'demo', 0))
  identities.set('expired', issued(authority, 'demo', -HOUR))
  identities.set('notYet', issued(authority, 'demo', HOUR))
  identities.set('odd', issued(authority, 'my app/1,O=x', 0))
  identities.set('umlaut', issued(authority, 'aufträge+"注文"', 0))
  for (const app of ['demo', 'shop', 'unknown']) identities.set(app, await pair(sandbox, app))
  identities.set(
    'twoUnits',
    await pair(sandbox, 'demo', '/OU=OrgUnit/OU=Second/O=Organization/L=Waldorf/ST=Waldorf/C=DE/CN=demo'),
  )
})

afterAll(async () => {
  for (const gateway of gateways.values()) await gateway.stop()
  await sandbox.close()
  rmSync(stateDirectory, { recursive: true, force: true })
})

/** The parts of an answer that a client may depend on: not NGINX's version. */
function visible(reply: Reply): object {
  return {
    status: reply.status,
    contentType: reply.headers['content-type'],
    location: reply.headers.location,
    hsts: reply.headers['strict-transport-security'],
    body: reply.body.replace(/nginx\/[\d.]+/, 'nginx'),
  }
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('the gateway and a real NGINX, over %s,', (tls) => {
  const portOf = (): number => gateways.get(tls)?.port ?? 0

  test.each(cases)('answer alike to $what', async ({ path, who, call, status }) => {
    const whole = { ...call, ...(who !== undefined && identities.get(who)), tls }
    const builtIn = await wire.gateway(path, whole)
    const nginx = await wire.gateway(path, { ...whole, port: portOf() })
    expect(visible(builtIn)).toEqual(visible(nginx))
    expect(builtIn.status).toBe(status)
  })

  test('answer alike to plain HTTP', async () => {
    const ask = (port: number): Promise<Reply> => send(`http://gateway.kyma.local${MANAGEMENT}`, { port })
    const builtIn = await ask(sandbox.ready.gatewayPort)
    const nginx = await ask(portOf())
    expect(visible(builtIn)).toEqual(visible(nginx))
    expect(builtIn.headers.connection).toBe(nginx.headers.connection)
    expect(builtIn.body).toContain('The plain HTTP request was sent to HTTPS port')
  })

  test('pass the same certificate to the Connector: one that was revoked through NGINX does not renew through the gateway', async () => {
    const call = { ...(await pair(sandbox, 'demo', `${subjectOf('demo')}/serialNumber=${tls}`)), tls, method: 'POST' }
    const body = csrBody(opensslRequest(subjectOf('demo')))
    expect((await wire.gateway(RENEWALS, { ...call, body, port: portOf() })).status).toBe(201)
    expect((await wire.gateway('/v1/applications/certificates/revocations', { ...call, port: portOf() })).status).toBe(
      201,
    )
    const refused = await wire.gateway(RENEWALS, { ...call, body })
    expect([refused.status, refused.body]).toEqual([403, '{"code":403,"error":"Certificate has been revoked."}\n'])
  })
})

test('the gateway passes a client on to the services in the headers that a real NGINX sets', async () => {
  const seen: unknown[] = []
  const echo = createServer(({ headers }, response) => {
    seen.push({ subject: headers['client-certificate-subject'], certificate: headers['client-certificate'] })
    response.end()
  })
  await new Promise<void>((resolve) => {
    echo.listen(0, '127.0.0.1', resolve)
  })
  const { forProxy } = sandbox
  if (forProxy === undefined) throw new Error('the sandbox has no servicesPort')
  const servicesUrl = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`
  const nginx = await startNginxGateway({ ...forProxy, servicesUrl, apps: [] })
  try {
    const routed: unknown[] = []
    for (const who of ['demo', 'twoUnits', 'odd', 'umlaut']) {
      const identity = identities.get(who)
      if (identity === undefined) throw new Error(`no ${who}`)
      expect((await wire.gateway(MANAGEMENT, { ...identity, port: nginx.port })).status).toBe(200)
      const certificate = new X509Certificate(identity.cert)
      routed.push({ subject: toSubjectHeader(certificate.subject), certificate: encodeURIComponent(identity.cert) })
    }
    expect(routed).toEqual(seen)
    expect(seen[0]).toMatchObject({ subject: 'CN=demo,OU=OrgUnit,O=Organization,L=Waldorf,ST=Waldorf,C=DE' })
  } finally {
    await nginx.stop()
    echo.closeAllConnections()
    echo.close()
  }
})
