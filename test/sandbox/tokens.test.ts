import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTokens } from '../../src/sandbox/connector/tokens.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { csrBody, opensslRequest, subjectOf } from './identity.js'
import { startTestSandbox, stringIn, wireTo, type Reply } from './wire.js'

let sandbox: Sandbox
let wire: ReturnType<typeof wireTo>
let clock = new Date('2026-01-01T00:00:00Z').getTime()
const body = csrBody(opensslRequest(subjectOf('demo')))

beforeAll(async () => {
  // This clock applies to tokens and client certificates. The server certificate must be valid today: it is issued by the same clock, but
  // for long enough.
  sandbox = await startTestSandbox({ tokenTtlSeconds: 60, now: () => new Date(clock) })
  wire = wireTo(sandbox)
})
afterAll(() => sandbox.close())

const info = (token: string): Promise<Reply> => wire.connector(`/v1/applications/signingRequests/info?token=${token}`)
const sign = (token: string, csr = body): Promise<Reply> =>
  wire.connector(`/v1/applications/certificates?token=${token}`, { method: 'POST', body: csr })
const tokenIn = (reply: Reply): string => stringIn(reply.body, 'csrUrl').split('token=')[1] ?? ''
const statuses = async (replies: Promise<Reply>[]): Promise<number[]> =>
  (await Promise.all(replies)).map(({ status }) => status).sort()

test('a token is 64 random bytes in padded base64url', async () => {
  const [one, other] = [await wire.newToken('demo'), await wire.newToken('demo')]
  expect(one).toMatch(/^[\w-]{86}==$/)
  expect(Buffer.from(one, 'base64url')).toHaveLength(64)
  expect(one).not.toBe(other)
})

test('a token works until it expires, and a failure changes nothing about that', async () => {
  const token = await wire.newToken('demo')
  clock += 59_000
  expect((await sign(token, '{}')).status).toBe(400)
  const second = tokenIn(await info(token))
  clock += 59_000
  expect((await sign(second, '{}')).status).toBe(400)
  clock += 1000
  expect((await sign(second)).body).toBe('{"code":403,"error":"Invalid token."}\n')
})

test('a success uses a token up, for both endpoints', async () => {
  const token = await wire.newToken('demo')
  const second = tokenIn(await info(token))
  expect(await statuses([info(token), sign(token)])).toEqual([403, 403])
  expect((await sign(second)).status).toBe(201)
  expect(await statuses([info(second), sign(second)])).toEqual([403, 403])
})

test('of two simultaneous requests with one token one succeeds', async () => {
  const token = await wire.newToken('demo')
  expect(await statuses([sign(token), sign(token), info(token), info(token)])).toHaveLength(4)
  const other = await wire.newToken('demo')
  expect(await statuses([sign(other), sign(other)])).toEqual([201, 403])
})

test('a token may come percent-encoded', async () => {
  const token = await wire.newToken('demo')
  expect((await info(token.replace('==', '%3D%3D'))).status).toBe(200)
})

test('a token belongs to its App: the CN must be that one', async () => {
  const token = await wire.newToken('shop')
  expect((await sign(token)).body).toBe('{"code":400,"error":"CSR: Invalid common name provided."}\n')
  expect((await info(token)).body).toContain('CN=shop')
})

test('the last of many tokens is issued as fast as the first', () => {
  let nowMs = 0
  const tokens = createTokens(300, () => new Date(nowMs))
  const context = { kind: 'application', app: 'demo' } as const
  const first = tokens.issue(context)
  // A sweep of all tokens for each new one would take 2 * 10^10 steps, which is minutes; without it this takes about a second.
  const startMs = performance.now()
  for (let count = 0; count < 200_000; count++) tokens.issue(context)
  expect(performance.now() - startMs).toBeLessThan(60_000)
  expect(tokens.clientOf(first)).toEqual(context)
  // The expired ones are removed all the same.
  nowMs = 300_000
  const last = tokens.issue(context)
  nowMs = 0
  expect([tokens.clientOf(first), tokens.clientOf(last)]).toEqual([undefined, context])
}, 300_000)
