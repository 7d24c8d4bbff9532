/** Plain HTTP is for this machine: not for web pages, and not for names that somebody rebinds to 127.0.0.1. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { send, startTestSandbox, type Call } from './wire.js'

const execute = promisify(execFile)
const TOKENS = '/v1/applications/tokens'
const post: Call = { method: 'POST', headers: { Application: 'demo' } }

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startTestSandbox({ servicesPort: 0 })
})
afterAll(() => sandbox.close())

const statusWith = async (url: string, headers: Readonly<Record<string, string>>): Promise<number> =>
  (await send(url, { ...post, headers: { ...post.headers, ...headers } })).status

describe('the internal API', () => {
  test.each(['attacker.example', 'attacker.example:80', 'localhost.attacker.example', '127.0.0.1.nip.io', '10.0.0.1'])(
    'refuses the host %j',
    async (host) => {
      expect(await statusWith(sandbox.ready.internalUrl + TOKENS, { host })).toBe(403)
    },
  )

  test.each(['https://attacker.example', 'http://localhost', 'null', ''])('refuses the origin %j', async (origin) => {
    const url = sandbox.ready.internalUrl + TOKENS
    expect(await statusWith(url, { origin })).toBe(403)
    const { body } = await send(url, { headers: { origin } })
    expect(body).toBe(
      '{"code":403,"error":"The sandbox refuses this request: it comes from a web page or names a host other than this machine."}\n',
    )
  })

  test.each(['127.0.0.1', 'localhost', 'LOCALHOST:1234', '127.0.0.1:80'])('answers the host %j', async (host) => {
    expect(await statusWith(sandbox.ready.internalUrl + TOKENS, { host })).toBe(201)
  })

  test('refuses the preflight request of a browser', async () => {
    const headers = { origin: 'https://attacker.example', 'access-control-request-method': 'POST' }
    const reply = await send(sandbox.ready.internalUrl + TOKENS, { method: 'OPTIONS', headers })
    expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([403, undefined])
  })

  test('answers curl with the URL that the sandbox prints, and refuses it under a name that leads here', async () => {
    const curl = async (...args: string[]): Promise<string> =>
      (await execute('curl', ['--silent', '--max-time', '20', '-X', 'POST', '-H', 'Application: demo', ...args])).stdout
    expect(await curl(sandbox.ready.internalUrl + TOKENS)).toContain('"token":')
    const { port } = new URL(sandbox.ready.internalUrl)
    const rebound = ['--resolve', `attacker.example:${port}:127.0.0.1`, `http://attacker.example:${port}${TOKENS}`]
    expect(await curl(...rebound)).toContain('"code":403')
  })
})

test('plain HTTP to the gateway is refused in the same way', async () => {
  const url = `http://gateway.kyma.local:${sandbox.ready.gatewayPort}/`
  const status = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await send(url, { headers })).status
  expect(await status({})).toBe(400)
  expect(await status({ host: 'attacker.example' })).toBe(403)
  expect(await status({ origin: 'null' })).toBe(403)
})

test('the services for a proxy are refused in the same way', async () => {
  const url = `${sandbox.forProxy?.servicesUrl ?? ''}/v1/applications/management/info`
  const headers = { 'Client-Certificate-Subject': 'CN=demo' }
  const status = async (more: object): Promise<number> => (await send(url, { headers: { ...headers, ...more } })).status
  expect(await status({})).toBe(200)
  expect(await status({ host: 'attacker.example' })).toBe(403)
  expect(await status({ origin: 'null' })).toBe(403)
})
