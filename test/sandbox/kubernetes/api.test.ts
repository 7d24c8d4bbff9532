import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Sandbox, SandboxOptions } from '../../../src/sandbox/sandbox.js'
import { pair } from '../identity.js'
import { send, startTestSandbox, wireTo } from '../wire.js'
import {
  application,
  APPLICATIONS,
  clusterWire,
  KYMA,
  SECRETS,
  TOKEN_REQUESTS,
  tokenRequest,
  type ClusterWire,
} from './cluster.js'

const open: Sandbox[] = []
afterEach(() => Promise.all(open.splice(0).map((sandbox) => sandbox.close())))

async function start(options: Partial<SandboxOptions> = {}): Promise<Sandbox & ClusterWire> {
  const sandbox = await startTestSandbox({ controller: { silent: true }, ...options })
  open.push(sandbox)
  return { ...sandbox, ...clusterWire(sandbox) }
}

const secret = (name: string, more: object): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  ...more,
})
const GROUP = 'applicationconnector.kyma-project.io'

describe('a client', () => {
  test('is authenticated by the token of the kubeconfig, which only its owner can read', async () => {
    const { ready, call, token, server, ca } = await start()
    expect(isAbsolute(ready.kubeconfig)).toBe(true)
    expect(statSync(ready.kubeconfig).mode & 0o777).toBe(0o600)
    expect((await call('GET', TOKEN_REQUESTS)).status).toBe(200)
    for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: token }]) {
      const { status, body } = await send(server + TOKEN_REQUESTS, { ca, headers })
      expect([status, body]).toEqual([
        401,
        '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}\n',
      ])
    }
    expect((await start()).token).not.toBe(token)
  })

  test('can discover the resources', async () => {
    const { call } = await start()
    const core = await call('GET', '/api/v1')
    const kyma = await call('GET', KYMA)
    expect(core.body).toMatchObject({ kind: 'APIResourceList', groupVersion: 'v1' })
    expect(kyma.body['resources']).toEqual([
      expect.objectContaining({
        name: 'tokenrequests',
        singularName: 'tokenrequest',
        namespaced: true,
        kind: 'TokenRequest',
      }),
      expect.objectContaining({
        name: 'applications',
        singularName: 'application',
        namespaced: false,
        kind: 'Application',
      }),
    ])
    expect((await call('GET', '/apis')).body['groups']).toContainEqual({
      name: GROUP,
      versions: [{ groupVersion: `${GROUP}/v1alpha1`, version: 'v1alpha1' }],
      preferredVersion: { groupVersion: `${GROUP}/v1alpha1`, version: 'v1alpha1' },
    })
    for (const path of ['/api', `/apis/${GROUP}`, '/version', '/openapi/v2', '/openapi/v3', '/healthz', '/readyz'])
      expect([path, (await call('GET', path)).status]).toEqual([path, 200])
  })

  test('gets a 404 for unknown paths', async () => {
    const { call } = await start()
    const message = 'the server could not find the requested resource'
    for (const path of ['/x', '/api/v1/pods', `/api/v1/secrets/x`, `${SECRETS}/x/status`, '/api/v1/%FF'])
      expect([path, await call('GET', path)]).toMatchObject([
        path,
        { status: 404, body: { message, reason: 'NotFound' } },
      ])
    expect(await call('GET', '/apis/x/v1/y')).toEqual({ status: 404, body: { message: '404 page not found\n' } })
    expect((await call('DELETE', SECRETS)).status).toBe(405)
  })
})

describe('an object', () => {
  test('that is created gets its uid, version and time, and is found by name and in lists', async () => {
    const { call } = await start()
    const { status, body } = await call(
      'POST',
      TOKEN_REQUESTS,
      tokenRequest('x', { context: { tenant: 't', group: 'g' } }),
    )
    expect([status, body]).toEqual([
      201,
      {
        apiVersion: `${GROUP}/v1alpha1`,
        kind: 'TokenRequest',
        metadata: {
          name: 'x',
          namespace: 'default',
          uid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
          resourceVersion: expect.stringMatching(/^\d+$/) as string,
          creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string,
          generation: 1,
        },
        context: { tenant: 't', group: 'g' },
      },
    ])
    expect((await call('GET', `${TOKEN_REQUESTS}/x`)).body).toEqual(body)
    for (const path of [TOKEN_REQUESTS, `${KYMA}/tokenrequests`, `${TOKEN_REQUESTS}?fieldSelector=metadata.name%3Dx`])
      expect((await call('GET', path)).body).toMatchObject({ kind: 'TokenRequestList', items: [body] })
    for (const path of [`${KYMA}/namespaces/x/tokenrequests`, `${TOKEN_REQUESTS}?labelSelector=a%3Db`])
      expect((await call('GET', path)).body.items).toEqual([])
    expect((await call('POST', TOKEN_REQUESTS, { metadata: { generateName: 'y-' } })).body.metadata?.name).toMatch(
      /^y-.{5}$/,
    )
  })

  test.each([
    [
      TOKEN_REQUESTS,
      tokenRequest('a/b'),
      422,
      `TokenRequest.${GROUP} "a/b" is invalid: metadata.name: Invalid value: "a/b": a lowercase RFC 1123`,
    ],
    [TOKEN_REQUESTS, {}, 422, 'metadata.name: Required value'],
    [TOKEN_REQUESTS, { ...tokenRequest('a'), kind: 'X' }, 400, 'does not match the expected kind (TokenRequest)'],
    [
      TOKEN_REQUESTS,
      { metadata: { name: 'a', namespace: 'b' } },
      400,
      'the namespace of the provided object does not match',
    ],
    [`${KYMA}/namespaces/b/tokenrequests`, tokenRequest('a'), 404, 'namespaces "b" not found'],
    [
      APPLICATIONS,
      { ...application('a'), spec: {} },
      422,
      `Application.${GROUP} "a" is invalid: spec.services: Required value`,
    ],
    [SECRETS, secret('a', { data: { x: '=' } }), 400, 'illegal base64 data'],
    [SECRETS, [], 400, 'the body is not a JSON object'],
  ])('that is invalid is refused: %s %j', async (path, body, status, message) => {
    const answer = await (await start()).call('POST', path, body)
    expect(answer.body).toMatchObject({
      kind: 'Status',
      message: expect.stringContaining(message) as string,
      code: status,
    })
    expect(answer.status).toBe(status)
  })

  test('that exists already, or does not exist, is refused with the text of the API server', async () => {
    const { call } = await start()
    const details = { name: 'demo', group: GROUP, kind: 'applications' }
    const exists = `applications.${GROUP} "demo" already exists`
    const { body } = await call('POST', APPLICATIONS, application('demo'))
    expect(body).toMatchObject({ message: exists, reason: 'AlreadyExists', details, code: 409 })
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
      const missing = await call(method, `${SECRETS}/x`, method === 'GET' ? undefined : {})
      expect([method, missing.body]).toMatchObject([
        method,
        { message: 'secrets "x" not found', reason: 'NotFound', details: { name: 'x', kind: 'secrets' }, code: 404 },
      ])
    }
  })

  test('is replaced only from its current version', async () => {
    const { call } = await start()
    const { body: first } = await call('POST', TOKEN_REQUESTS, tokenRequest('x'))
    const path = `${TOKEN_REQUESTS}/x`
    const { body: second } = await call('PUT', path, { ...first, context: { tenant: 'a', group: 'b' } })
    expect(second.metadata).toEqual({
      ...first.metadata,
      generation: 2,
      resourceVersion: second.metadata?.resourceVersion,
    })
    expect(Number(second.metadata?.resourceVersion)).toBeGreaterThan(Number(first.metadata?.resourceVersion))
    expect((await call('PUT', path, first)).body).toMatchObject({
      message: `Operation cannot be fulfilled on tokenrequests.${GROUP} "x": the object has been modified; please apply your changes to the latest version and try again`,
      reason: 'Conflict',
      code: 409,
    })
    expect((await call('PATCH', path, { metadata: { resourceVersion: '1' } })).status).toBe(409)
    expect((await call('PUT', path, tokenRequest('x'))).body.message).toContain('must be specified for an update')
    expect((await call('PUT', path, tokenRequest('y'))).status).toBe(400)
    expect((await call('PUT', path, { ...second, metadata: { ...second.metadata, uid: 'other' } })).status).toBe(409)
    expect((await call('PUT', path, second)).body).toEqual(second)
    // Built-in kinds allow this.
    await call('POST', SECRETS, secret('s', {}))
    expect((await call('PUT', `${SECRETS}/s`, secret('s', { stringData: { a: 'ä' } }))).body['data']).toEqual({
      a: 'w6Q=',
    })
  })

  test('is deleted only when it is the one that was meant', async () => {
    const { call } = await start()
    const { body } = await call('POST', TOKEN_REQUESTS, tokenRequest('x'))
    const path = `${TOKEN_REQUESTS}/x`
    expect((await call('DELETE', path, { preconditions: { uid: 'other' } })).body).toMatchObject({
      message: `Operation cannot be fulfilled on TokenRequest.${GROUP} "x": the UID in the precondition (other) does not match the UID in record (${body.metadata?.uid ?? ''}). The object might have been deleted and then recreated`,
      reason: 'Conflict',
      code: 409,
    })
    expect((await call('DELETE', path, { preconditions: { resourceVersion: '1' } })).status).toBe(409)
    const { uid, resourceVersion } = body.metadata ?? {}
    expect(await call('DELETE', path, { preconditions: { uid, resourceVersion } })).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success', details: { name: 'x', group: GROUP, kind: 'tokenrequests', uid } },
    })
    expect((await call('GET', path)).status).toBe(404)
    expect((await call('DELETE', '/api/v1/namespaces/default')).body.message).toContain('may not be deleted')
  })

  test('accepts merge patches, and strategic ones if its kind is built in', async () => {
    const { call, ready } = await start()
    const patch = (path: string, type: string, body: object): ReturnType<typeof call> =>
      call('PATCH', path, body, { 'content-type': `application/${type}` })
    await call('POST', SECRETS, secret('s', { stringData: { a: '1', b: '2' } }))
    expect((await patch(`${SECRETS}/s`, 'merge-patch+json', { data: { a: null, c: 'Mw==' } })).body['data']).toEqual({
      b: 'Mg==',
      c: 'Mw==',
    })
    const service = '/api/v1/namespaces/kyma-system/services/application-connector-ingress-nginx-ingress-controller'
    const ports = [{ port: 443, nodePort: 31_000 }, { port: 80, $patch: 'delete' }, { port: 81 }]
    const patched = await patch(service, 'strategic-merge-patch+json', {
      spec: { ports, '$setElementOrder/ports': [] },
    })
    expect(patched.body['spec']).toMatchObject({
      type: 'NodePort',
      ports: [
        { name: 'https', port: 443, nodePort: 31_000 },
        { port: 81, protocol: 'TCP' },
      ],
    })
    expect(ready.gatewayPort).not.toBe(31_000)
    const noNodePorts = await patch(service, 'merge-patch+json', { spec: { type: 'ClusterIP' } })
    expect(JSON.stringify(noNodePorts.body['spec'])).not.toContain('nodePort')
    expect((await patch(`${APPLICATIONS}/demo`, 'strategic-merge-patch+json', {})).status).toBe(415)
    const applied = await patch(`${APPLICATIONS}/demo`, 'apply-patch+yaml', {})
    expect(applied).toMatchObject({ status: 415, body: { reason: 'UnsupportedMediaType' } })
    expect(applied.body.message).toContain('the sandbox does not support server-side apply')
    expect((await call('POST', SECRETS, {}, { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415)
  })

  test('is not stored by a dry run', async () => {
    const { call } = await start()
    expect((await call('POST', `${SECRETS}?dryRun=All`, secret('s', {}))).status).toBe(201)
    expect((await call('DELETE', `${APPLICATIONS}/demo?dryRun=All`)).status).toBe(200)
    expect((await call('PATCH', `${APPLICATIONS}/demo?dryRun=All`, { spec: { description: 'x' } })).status).toBe(200)
    expect((await call('GET', `${SECRETS}/s`)).status).toBe(404)
    expect((await call('GET', `${APPLICATIONS}/demo`)).body['spec']).toMatchObject({ description: '' })
  })

  test('is deleted with its namespace', async () => {
    const { call } = await start()
    await call('POST', '/api/v1/namespaces', { metadata: { name: 'x' } })
    await call('POST', '/api/v1/namespaces/x/secrets', secret('s', {}))
    await call('DELETE', '/api/v1/namespaces/x')
    expect((await call('GET', '/api/v1/secrets')).body.items).toEqual([])
  })
})

test('a denied request is answered with 403 and the text of the API server', async () => {
  const { call } = await start({
    deny: [
      { verb: 'create', resource: 'tokenrequests' },
      { verb: 'watch', resource: `tokenrequests.${GROUP}` },
      { verb: '*', resource: 'applications' },
      { verb: 'get', resource: '*' },
    ],
  })
  const resource = `resource "tokenrequests" in API group "${GROUP}" in the namespace "default"`
  expect((await call('POST', TOKEN_REQUESTS, tokenRequest('demo'))).body).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `tokenrequests.${GROUP} is forbidden: User "sandbox" cannot create ${resource}`,
    reason: 'Forbidden',
    details: { group: GROUP, kind: 'tokenrequests' },
    code: 403,
  })
  expect((await call('GET', `${TOKEN_REQUESTS}?watch=true&fieldSelector=metadata.name%3Ddemo`)).body.message).toBe(
    `tokenrequests.${GROUP} "demo" is forbidden: User "sandbox" cannot watch ${resource}`,
  )
  expect((await call('DELETE', `${APPLICATIONS}/demo`)).body.message).toBe(
    `applications.${GROUP} "demo" is forbidden: User "sandbox" cannot delete resource "applications" in API group "${GROUP}" at the cluster scope`,
  )
  expect((await call('GET', `${SECRETS}/x`)).body.message).toBe(
    'secrets "x" is forbidden: User "sandbox" cannot get resource "secrets" in API group "" in the namespace "default"',
  )
  expect((await call('GET', TOKEN_REQUESTS)).status).toBe(200)
  await expect(start({ deny: [{ verb: 'read', resource: 'secrets' }] })).rejects.toThrow(
    '"read:secrets" cannot be denied',
  )
})

test('a cluster without the CRD does not know the resource at all', async () => {
  const { call } = await start({ withoutTokenRequests: true })
  for (const method of ['GET', 'POST']) {
    const answer = await call(method, TOKEN_REQUESTS, method === 'POST' ? tokenRequest('x') : undefined)
    expect(answer).toEqual({ status: 404, body: { message: '404 page not found\n' } })
  }
  expect(JSON.stringify((await call('GET', KYMA)).body)).not.toContain('tokenrequests')
  expect((await call('GET', APPLICATIONS)).status).toBe(200)
})

test('creating or deleting an Application creates or deletes the App at the gateway', async () => {
  const sandbox = await start()
  const { call } = sandbox
  const { gateway } = wireTo(sandbox)
  const identity = await pair(sandbox, 'erp')
  const services = '/erp/v1/metadata/services'
  expect((await gateway(services, identity)).body).toBe('default backend - 404')
  await call('POST', APPLICATIONS, application('erp'))
  const definition = { provider: 'p', name: 'n', description: 'd', events: { spec: {} } }
  expect((await gateway(services, { ...identity, method: 'POST', body: JSON.stringify(definition) })).status).toBe(200)
  expect((await gateway(services, await pair(sandbox, 'demo'))).status).toBe(403)
  await call('DELETE', `${APPLICATIONS}/erp`)
  expect((await gateway(services, identity)).body).toBe('default backend - 404')
  await call('POST', APPLICATIONS, application('erp'))
  expect((await gateway(services, identity)).body).toBe('[]\n')
})

test('a state folder keeps all objects except TokenRequests', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-cluster-'))
  try {
    const first = await start({ stateDirectory: folder })
    await first.call('POST', TOKEN_REQUESTS, tokenRequest('x'))
    const { body: kept } = await first.call('POST', SECRETS, secret('s', { stringData: { a: 'b' } }))
    const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases'
    await first.call('POST', LEASES, { metadata: { name: 'l' }, spec: { holderIdentity: 'me' } })
    await first.call('POST', APPLICATIONS, application('erp'))
    await first.call('POST', APPLICATIONS, application('gone'))
    await first.call('DELETE', `${APPLICATIONS}/gone`)
    await first.close()
    const second = await start({ stateDirectory: folder, apps: ['erp', 'shop'] })
    expect((await second.call('GET', TOKEN_REQUESTS)).body.items).toEqual([])
    expect((await second.call('GET', `${SECRETS}/s`)).body).toMatchObject({
      data: { a: 'Yg==' },
      metadata: { uid: kept.metadata?.uid },
    })
    expect((await second.call('GET', `${LEASES}/l`)).body['spec']).toEqual({ holderIdentity: 'me' })
    await second.call('DELETE', `${SECRETS}/s`)
    await second.close()
    const names = (await (await start({ stateDirectory: folder, apps: ['shop'] })).call('GET', APPLICATIONS)).body.items
    expect(names?.map(({ metadata }) => metadata?.name)).toEqual(['erp', 'shop'])
    expect(readFileSync(join(folder, 'kubernetes.json'), 'utf8')).not.toContain('"Secret"')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a change that cannot be stored is not made', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-cluster-'))
  const { call } = await start({ stateDirectory: folder })
  rmSync(folder, { recursive: true })
  expect(await call('POST', SECRETS, secret('s', {}))).toMatchObject({ status: 500, body: { reason: 'InternalError' } })
  expect((await call('GET', `${SECRETS}/s`)).status).toBe(404)
})

test('requests are in the log, without the token', async () => {
  const lines: string[] = []
  const { call, token } = await start({ log: (line) => lines.push(line) })
  await call('GET', `${TOKEN_REQUESTS}/x?token=${token}`)
  expect(lines.map((line) => line.replace(/^\S+ /, '').replace(/\d+ms/, '0ms'))).toEqual([
    `kubernetes GET ${TOKEN_REQUESTS}/x?token=REDACTED 404 0ms`,
  ])
})
