/** Central mode: tenant and group in the subject, and runtimes beside Apps (docs/contract.md §2, §4, §6, §8). */
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { clientKey, csrBody, opensslRequest, subjectOf, type Identity } from './identity.js'
import { startTestSandbox, stringIn, wireTo, type Reply } from './wire.js'

const OWNER = { Tenant: 't1', Group: 'g1' }
const APPLICATIONS = '/v1/applications'
const RUNTIMES = '/v1/runtimes'

let sandbox: Sandbox
let wire: ReturnType<typeof wireTo>
beforeAll(async () => {
  sandbox = await startTestSandbox({ central: true })
  wire = wireTo(sandbox)
})
afterAll(() => sandbox.close())

const newToken = async (root: string, headers: Readonly<Record<string, string>>): Promise<string> =>
  stringIn((await wire.internal(`${root}/tokens`, { method: 'POST', headers })).body, 'token')
const forApp = (app = 'demo'): Promise<string> => newToken(APPLICATIONS, { Application: app, ...OWNER })
const forRuntime = (): Promise<string> => newToken(RUNTIMES, OWNER)

const subject = (o: string, ou: string, cn: string): string => `/O=${o}/OU=${ou}/L=Waldorf/ST=Waldorf/C=DE/CN=${cn}`
const sign = (root: string, token: string, csrSubject: string): Promise<Reply> =>
  wire.connector(`${root}/certificates?token=${token}`, { method: 'POST', body: csrBody(opensslRequest(csrSubject)) })
const certificateIn = (reply: Reply): Identity => ({
  cert: Buffer.from(stringIn(reply.body, 'clientCrt'), 'base64').toString(),
  key: clientKey,
})

const renew = (root: string, identity: Identity, csrSubject: string): Promise<Reply> =>
  wire.gateway(`${root}/certificates/renewals`, {
    ...identity,
    method: 'POST',
    body: csrBody(opensslRequest(csrSubject)),
  })

test('the sandbox prints token URLs for its own tenant and group', async () => {
  const { central, tokenUrls, connectorUrl } = sandbox.ready
  expect(central).toEqual({ tenant: 'sandbox-tenant', group: 'sandbox-group' })
  const info = await wire.connector((tokenUrls['demo'] ?? '').replace(connectorUrl, ''))
  expect(info.body).toContain('"subject":"O=sandbox-tenant,OU=sandbox-group,L=Waldorf,ST=Waldorf,C=DE,CN=demo"')
})

describe('an App', () => {
  test('is signed with its tenant and group only', async () => {
    const token = await forApp()
    expect((await sign(APPLICATIONS, token, subjectOf('demo'))).body).toContain('Invalid organization provided')
    expect((await sign(APPLICATIONS, token, subject('t1', 'g2', 'demo'))).body).toContain('Invalid organizational unit')
    const signed = await sign(APPLICATIONS, token, subject('t1', 'g1', 'demo'))
    const { subject: issued } = new X509Certificate(certificateIn(signed).cert)
    expect(issued.split('\n')).toEqual(['C=DE', 'ST=Waldorf', 'L=Waldorf', 'O=t1', 'OU=g1', 'CN=demo'])
  })

  test('renews only with the subject that is in its certificate', async () => {
    const identity = certificateIn(await sign(APPLICATIONS, await forApp(), subject('t1', 'g1', 'demo')))
    expect((await renew(APPLICATIONS, identity, subject('t1', 'g1', 'demo'))).status).toBe(201)
    for (const [o, ou, cn, what] of [
      ['t2', 'g1', 'demo', 'organization'],
      ['t1', 'g2', 'demo', 'organizational unit'],
      ['t1', 'g1', 'shop', 'common name'],
      ['Organization', 'OrgUnit', 'demo', 'organization'],
    ] as const) {
      const { status, body } = await renew(APPLICATIONS, identity, subject(o, ou, cn))
      expect([status, body]).toEqual([400, `{"code":400,"error":"CSR: Invalid ${what} provided."}\n`])
    }
  })

  test('uses its own paths below its own name', async () => {
    const identity = certificateIn(await sign(APPLICATIONS, await forApp(), subject('t1', 'g1', 'demo')))
    expect((await wire.gateway('/demo/v1/metadata/services', identity)).status).toBe(200)
    expect((await wire.gateway('/shop/v1/metadata/services', identity)).status).toBe(403)
  })

  test.each(['O=a\\,CN=shop', 'a,CN=shop', 'a+CN=shop'])(
    'keeps its name whatever its tenant is called: %s',
    async (tenant) => {
      const token = await newToken(APPLICATIONS, { Application: 'demo', Tenant: tenant, Group: 'g' })
      const escaped = tenant.replace(/[\\/+,]/g, (character) => `\\${character}`)
      const identity = certificateIn(await sign(APPLICATIONS, token, subject(escaped, 'g', 'demo')))
      const info = await wire.gateway(`${APPLICATIONS}/management/info`, identity)
      expect(JSON.parse(info.body)).toMatchObject({ clientIdentity: { application: 'demo', tenant, group: 'g' } })
      expect((await wire.gateway('/shop/v1/metadata/services', identity)).status).toBe(403)
    },
  )
})

describe('a runtime', () => {
  const RUNTIME = subject('t1', 'g1', '*Runtime*')

  test('pairs, renews and revokes on its own paths', async () => {
    const info = await wire.connector(`${RUNTIMES}/signingRequests/info?token=${await forRuntime()}`)
    const csrPath = stringIn(info.body, 'csrUrl').replace(sandbox.ready.connectorUrl, '')
    const reply = await wire.connector(csrPath, { method: 'POST', body: csrBody(opensslRequest(RUNTIME)) })
    const identity = certificateIn(reply)
    expect((await wire.gateway(`${RUNTIMES}/management/info`, identity)).status).toBe(200)
    expect((await renew(RUNTIMES, identity, RUNTIME)).status).toBe(201)
    const revocations = `${RUNTIMES}/certificates/revocations`
    expect((await wire.gateway(revocations, { ...identity, method: 'POST' })).status).toBe(201)
    expect((await renew(RUNTIMES, identity, RUNTIME)).status).toBe(403)
  })

  test('needs tenant and group', async () => {
    const reply = await wire.internal(`${RUNTIMES}/tokens`, { method: 'POST', headers: { Tenant: 't1' } })
    expect(reply.status).toBe(400)
  })

  test('and an App do not accept the other one’s tokens and certificates', async () => {
    const [app, runtime] = [await forApp(), await forRuntime()]
    const invalid = '{"code":403,"error":"Invalid token."}\n'
    expect((await wire.connector(`${RUNTIMES}/signingRequests/info?token=${app}`)).body).toBe(invalid)
    expect((await wire.connector(`${APPLICATIONS}/signingRequests/info?token=${runtime}`)).body).toBe(invalid)
    const identity = certificateIn(await sign(APPLICATIONS, app, subject('t1', 'g1', 'demo')))
    expect((await wire.gateway(`${RUNTIMES}/management/info`, identity)).status).toBe(400)
    expect((await renew(RUNTIMES, identity, RUNTIME)).status).toBe(400)
  })

  test('does not exist outside central mode', async () => {
    const other = await startTestSandbox()
    try {
      const reply = await wireTo(other).connector(`${RUNTIMES}/signingRequests/info?token=x`)
      expect([reply.status, reply.body]).toEqual([
        404,
        '{"code":404,"error":"Requested resource could not be found."}\n',
      ])
    } finally {
      await other.close()
    }
  })
})
