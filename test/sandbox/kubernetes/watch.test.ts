import { connect as connectHttp2 } from 'node:http2'
import { once } from 'node:events'
import { afterEach, expect, test } from 'vitest'
import type { Sandbox, SandboxOptions } from '../../../src/sandbox/sandbox.js'
import { startTestSandbox } from '../wire.js'
import {
  APPLICATIONS,
  clusterWire,
  SECRETS,
  TOKEN_REQUESTS,
  tokenRequest,
  type ClusterWire,
  type Event,
} from './cluster.js'

const open: Sandbox[] = []
afterEach(() => Promise.all(open.splice(0).map((sandbox) => sandbox.close())))

async function start(options: Partial<SandboxOptions> = {}): Promise<Sandbox & ClusterWire> {
  const sandbox = await startTestSandbox({ controller: { silent: true }, ...options })
  open.push(sandbox)
  return { ...sandbox, ...clusterWire(sandbox) }
}

const brief = (events: readonly Event[]): readonly string[] =>
  events.map(({ type, object }) => `${type} ${object.metadata?.name ?? object.message ?? ''}`)
const WATCH = `${TOKEN_REQUESTS}?watch=true`

test('a watch reports existing objects, and then what is created, changed and deleted', async () => {
  const { call, watch } = await start()
  await call('POST', TOKEN_REQUESTS, tokenRequest('a'))
  const stream = await watch(WATCH)
  await stream.reach(1)
  const { body } = await call('POST', TOKEN_REQUESTS, tokenRequest('b'))
  await call('POST', SECRETS, { metadata: { name: 'other' } })
  await call('PATCH', `${TOKEN_REQUESTS}/a`, { context: { tenant: 't', group: 'g' } })
  await call('PATCH', `${TOKEN_REQUESTS}/a`, { context: { tenant: 't' } })
  await call('DELETE', `${TOKEN_REQUESTS}/b`)
  const events = await stream.reach(4)
  expect(brief(events)).toEqual(['ADDED a', 'ADDED b', 'MODIFIED a', 'DELETED b'])
  expect(events[1]?.object).toEqual(body)
  const versions = events.map(({ object }) => Number(object.metadata?.resourceVersion))
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b))
})

test('a watch from a version reports the changes after it, each once', async () => {
  const { call, watch } = await start()
  const version = (await call('GET', TOKEN_REQUESTS)).body.metadata?.resourceVersion ?? ''
  const { body } = await call('POST', TOKEN_REQUESTS, tokenRequest('a'))
  const [all, later] = await Promise.all(
    [version, body.metadata?.resourceVersion ?? ''].map((from) => watch(`${WATCH}&resourceVersion=${from}`)),
  )
  await call('DELETE', `${TOKEN_REQUESTS}/a`)
  expect(brief((await all?.reach(2)) ?? [])).toEqual(['ADDED a', 'DELETED a'])
  expect(brief((await later?.reach(1)) ?? [])).toEqual(['DELETED a'])
})

test('a watch from a version that is too old reports that, and ends', async () => {
  const { call, watch } = await start()
  const { body } = await call('POST', TOKEN_REQUESTS, tokenRequest('a'))
  for (let index = 0; index <= 100; index++)
    await call('PATCH', `${APPLICATIONS}/demo`, { spec: { description: String(index) } })
  for (const version of [body.metadata?.resourceVersion ?? '', '1']) {
    const stream = await watch(`${WATCH}&resourceVersion=${version}`)
    expect([stream.status, await stream.ended]).toEqual([200, true])
    expect(stream.events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', reason: 'Expired', code: 410 } }])
    expect(stream.events[0]?.object.message).toMatch(new RegExp(`^too old resource version: ${version} \\(\\d+\\)$`))
  }
  expect((await call('GET', `${WATCH}&resourceVersion=x`)).status).toBe(400)
  expect((await call('GET', `${WATCH}&sendInitialEvents=true`)).status).toBe(422)
})

test('a watch with a time limit ends with a bookmark if the client allows one', async () => {
  const { call, watch } = await start()
  const [marked, bare] = await Promise.all([
    watch(`${WATCH}&timeoutSeconds=1&allowWatchBookmarks=true`),
    watch(`${WATCH}&timeoutSeconds=1`),
  ])
  await call('PATCH', `${APPLICATIONS}/demo`, { spec: { description: 'x' } })
  const version = (await call('GET', APPLICATIONS)).body.metadata?.resourceVersion
  expect(await Promise.all([marked.ended, bare.ended])).toEqual([true, true])
  expect(marked.events).toMatchObject([
    { type: 'BOOKMARK', object: { kind: 'TokenRequest', metadata: { resourceVersion: version } } },
  ])
  expect(bare.events).toEqual([])
})

test('a watch reports objects that become selected as added, and those that cease to be as deleted', async () => {
  const { call, watch } = await start()
  const labelled = await watch(`${WATCH}&labelSelector=${encodeURIComponent('a=b,!c')}`)
  const named = await watch(`${WATCH}&fieldSelector=metadata.name%3Dy`)
  await call('POST', TOKEN_REQUESTS, tokenRequest('x'))
  await call('PATCH', `${TOKEN_REQUESTS}/x`, { metadata: { labels: { a: 'b' } } })
  await call('PATCH', `${TOKEN_REQUESTS}/x`, { metadata: { labels: { c: 'd' } } })
  await call('POST', TOKEN_REQUESTS, tokenRequest('y'))
  expect(brief(await labelled.reach(2))).toEqual(['ADDED x', 'DELETED x'])
  expect(brief(await named.reach(1))).toEqual(['ADDED y'])
})

test('the first watches are cut if the options say so', async () => {
  const { watch } = await start({ dropWatches: 2 })
  for (let index = 0; index < 2; index++) {
    const stream = await watch(WATCH)
    expect([stream.status, await stream.ended]).toEqual([200, false])
  }
  const last = await watch(`${WATCH}&timeoutSeconds=1`)
  expect(await last.ended).toBe(true)
})

test('the sandbox closes at once, although it is watched', async () => {
  const sandbox = await start({ controller: {} })
  const { server, token, ca, watch, call } = sandbox
  const session = connectHttp2(server, { ca })
  session.on('error', () => undefined)
  const stream = session.request({ ':path': WATCH, authorization: `Bearer ${token}` })
  stream.on('error', () => undefined)
  const [watched] = await Promise.all([watch(WATCH), once(stream, 'response')])
  await call('POST', TOKEN_REQUESTS, tokenRequest('x'))
  expect(String(await once(stream, 'data'))).toContain('"ADDED"')
  const started = performance.now()
  const ended = Promise.all([watched.ended, once(session, 'close')])
  await sandbox.close()
  await ended
  expect(performance.now() - started).toBeLessThan(20_000)
})
