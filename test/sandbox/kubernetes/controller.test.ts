import { afterEach, describe, expect, test } from 'vitest'
import type { Sandbox, SandboxOptions } from '../../../src/sandbox/sandbox.js'
import { startTestSandbox, wireTo } from '../wire.js'
import { clusterWire, eventually, TOKEN_REQUESTS, tokenRequest, type ClusterWire, type Shown } from './cluster.js'

const open: Sandbox[] = []
afterEach(() => Promise.all(open.splice(0).map((sandbox) => sandbox.close())))

async function start(options: Partial<SandboxOptions> = {}): Promise<Sandbox & ClusterWire> {
  const sandbox = await startTestSandbox(options)
  open.push(sandbox)
  return { ...sandbox, ...clusterWire(sandbox) }
}

const read = ({ call }: ClusterWire, name: string): Promise<Shown> =>
  call('GET', `${TOKEN_REQUESTS}/${name}`).then(({ body }) => body)
const inState = (cluster: ClusterWire, name: string, state: string): Promise<Shown> =>
  eventually(
    () => read(cluster, name),
    ({ status }) => status?.['state'] === state,
  )
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

test('a TokenRequest gets the URL of a token that works, and stays OK when it is used; the App need not exist', async () => {
  const cluster = await start()
  const { body } = await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('unknown'))
  expect(body.status).toBeUndefined()
  const { status } = await inState(cluster, 'unknown', 'OK')
  expect(Object.keys(status ?? {})).toEqual(['application', 'token', 'url', 'state', 'expireAfter'])
  const [token, url] = [String(status?.['token']), String(status?.['url'])]
  expect(status?.['application']).toBe('unknown')
  expect(url).toBe(`${cluster.ready.connectorUrl}/v1/applications/signingRequests/info?token=${token}`)
  expect(String(status?.['expireAfter'])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  const left = Date.parse(String(status?.['expireAfter'])) - Date.now()
  expect([left > 290_000, left <= 300_000]).toEqual([true, true])
  const { connector } = wireTo(cluster)
  const path = url.replace(cluster.ready.connectorUrl, '')
  expect((await connector(path)).body).toContain('CN=unknown')
  expect((await connector(path)).status).toBe(403)
  await cluster.call('PATCH', `${TOKEN_REQUESTS}/unknown`, { metadata: { annotations: { a: 'b' } } })
  await pause(100)
  expect((await read(cluster, 'unknown')).status).toEqual(status)
})

test('a TokenRequest is deleted when it has expired', async () => {
  const cluster = await start({ tokenTtlSeconds: 1 })
  const stream = await cluster.watch(`${TOKEN_REQUESTS}?watch=true`)
  await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('x'))
  await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('old', { status: { expireAfter: '2020-01-01T00:00:00Z' } }))
  const events = await stream.reach(5)
  expect(events.map(({ type, object }) => `${type} ${object.metadata?.name ?? ''}`).sort()).toEqual([
    'ADDED old',
    'ADDED x',
    'DELETED old',
    'DELETED x',
    'MODIFIED x',
  ])
  expect((await read(cluster, 'x')).code).toBe(404)
})

test('a failure is an error without token and URL', async () => {
  const cluster = await start({ controller: { failures: 1 } })
  await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('x'))
  const { status } = await inState(cluster, 'x', 'Error')
  expect(status).toEqual({ application: 'x', token: '', url: '', state: 'Error', expireAfter: null })
})

describe('in central mode', () => {
  test('a TokenRequest without a whole context is OK with an empty token and URL, as the real controller writes it', async () => {
    const cluster = await start({ central: true })
    await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('none'))
    await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('half', { context: { tenant: 't' } }))
    for (const name of ['none', 'half']) {
      const { status } = await inState(cluster, name, 'OK')
      expect(status).toMatchObject({ application: name, token: '', url: '', state: 'OK' })
      expect(String(status?.['expireAfter'])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    }
    // It tries again, and succeeds once the context is whole.
    await cluster.call('PATCH', `${TOKEN_REQUESTS}/half`, { context: { group: 'g' } })
    const { status } = await eventually(
      () => read(cluster, 'half'),
      ({ status }) => status?.['url'] !== '',
    )
    const path = String(status?.['url']).replace(cluster.ready.connectorUrl, '')
    expect((await wireTo(cluster).connector(path)).body).toContain('"subject":"O=t,OU=g,L=Waldorf,')
  })

  test('a TokenRequest with tenant and group gets a token for them', async () => {
    const cluster = await start({ central: true })
    await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('x', { context: { tenant: 't', group: 'g' } }))
    const { status } = await inState(cluster, 'x', 'OK')
    const path = String(status?.['url']).replace(cluster.ready.connectorUrl, '')
    expect((await wireTo(cluster).connector(path)).body).toContain('"subject":"O=t,OU=g,L=Waldorf,')
  })
})

test('an error is not final: there is another try a second later', async () => {
  const cluster = await start({ controller: { failures: 2, errorState: 'ERR' } })
  await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('x'))
  await inState(cluster, 'x', 'ERR')
  const started = performance.now()
  await inState(cluster, 'x', 'OK')
  // The second try fails as well.
  expect(performance.now() - started).toBeGreaterThan(1500)
})

test('a new TokenRequest of a name gets its own token', async () => {
  const cluster = await start()
  await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('x'))
  const first = await inState(cluster, 'x', 'OK')
  await cluster.call('DELETE', `${TOKEN_REQUESTS}/x`)
  await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('x'))
  const second = await inState(cluster, 'x', 'OK')
  expect(second.status?.['token']).not.toBe(first.status?.['token'])
})

test('a silent controller leaves everything as it is', async () => {
  const cluster = await start({ controller: { silent: true } })
  await cluster.call('POST', TOKEN_REQUESTS, tokenRequest('x', { status: { expireAfter: '2020-01-01T00:00:00Z' } }))
  await pause(200)
  expect((await read(cluster, 'x')).status).toEqual({ expireAfter: '2020-01-01T00:00:00Z' })
})
