import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, type Faults, json, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, type Run } from '../support/kyconnect.js'

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let paired = ''
let homes = 0

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('answers')])
  paired = join(folder.path, 'paired')
  const done = await pair(paired)
  if (done.code !== 0) throw new Error(done.stderr)
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})
beforeEach(() => {
  fake.faults = {}
  fake.requests.length = 0
})

const timeout = ['--timeout', '30']

function pair(home: string, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Run> {
  return kyconnect(['pair', '--json', '--url', '-', ...timeout, ...args], {
    env: { ...fake.env, KYCONNECT_HOME: home, ...env },
    input: fake.tokenUrl,
  })
}

const newHome = (): string => join(folder.path, `home-${homes++}`)

function info(env: Record<string, string> = {}): Promise<Run> {
  return kyconnect(['info', '--json', ...timeout], { env: { KYCONNECT_HOME: paired, ...env } })
}

/** Writes to the socket, past Node's own server; the piece `close` ends the connection, `reset` destroys it. */
const raw =
  (...pieces: readonly string[]): NonNullable<Faults['info']> =>
  async (_: unknown, { socket }: ServerResponse) => {
    if (socket === null) return
    socket.on('error', () => undefined)
    for (const piece of pieces) await write(socket, piece)
  }

async function write(socket: Socket, piece: string): Promise<void> {
  if (piece === 'close') socket.end()
  else if (piece === 'reset') socket.destroy()
  else socket.write(piece)
  await sleep(20)
}

const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'

describe('an answer that is not HTTP is malformed (7), and is reported at once', () => {
  test.each([
    ['a bad status line', ['HTTP/2.0 banana\r\n\r\n']],
    ['status 000', ['HTTP/1.1 000 Zero\r\ncontent-length: 2\r\n\r\n{}']],
    ['status 1000', ['HTTP/1.1 1000 Many\r\ncontent-length: 2\r\n\r\n{}']],
    ['a bad chunk size', [`${head}transfer-encoding: chunked\r\n\r\n`, 'xyz\r\n{}\r\n0\r\n\r\n']],
    ['a negative content length', [`${head}content-length: -5\r\n\r\n{}`]],
    ['two content lengths', [`${head}content-length: 2\r\ncontent-length: 3\r\n\r\n{} `]],
    ['an upgrade that was not asked for', ['HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n']],
    ['a text', ['SSH-2.0-OpenSSH_9.2\r\n']],
  ])('%s', async (_, pieces) => {
    fake.faults.management = raw(...pieces)
    const started = performance.now()
    const failed = await info()
    expect([failed.code, jsonError(failed).code], failed.stderr).toEqual([7, 'ERR_ANSWER_MALFORMED'])
    expect(jsonError(failed).reason).toBe('NOT_HTTP')
    // Long before the time limit of 30 s.
    expect(performance.now() - started).toBeLessThan(25_000)
  })
})

describe('a connection that breaks is a network error (8)', () => {
  test.each([
    ['before the answer', ['close']],
    ['inside the headers', [head, 'close']],
    ['inside a body of known length', [`${head}content-length: 500\r\n\r\n{"a`, 'close']],
    ['inside a chunked body', [`${head}transfer-encoding: chunked\r\n\r\n5\r\n{"a`, 'close']],
    ['inside a body, by a reset', [`${head}content-length: 500\r\n\r\n{"a`, 'reset']],
  ])('%s, after a read was tried three times', async (_, pieces) => {
    fake.faults.management = raw(...pieces)
    const failed = await info()
    expect([failed.code, jsonError(failed).code], failed.stderr).toEqual([8, 'ERR_NETWORK'])
    expect(fake.requests).toHaveLength(3)
  })

  test('a read whose body broke once succeeds', async () => {
    let calls = 0
    const broken = raw(`${head}content-length: 500\r\n\r\n{"a`, 'reset')
    fake.faults.management = (request, response, body) => {
      if (calls++ === 0) return broken(request, response, body)
      json(response, 200, fake.goodManagement())
      return undefined
    }
    const done = await info()
    expect(done.code, done.stderr).toBe(0)
    expect(fake.requests).toHaveLength(2)
  })
})

test('100 Continue that was not asked for is skipped', async () => {
  const body = JSON.stringify(fake.goodManagement())
  const continues = 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(3)
  fake.faults.management = raw(continues, `${continues}${head}content-length: ${body.length}\r\n\r\n${body}`)
  const done = await info()
  expect(done.code, done.stderr).toBe(0)
})

describe('CSR information that was lost after the request went out', () => {
  test.each([
    ['by a reset', raw('reset'), 8],
    ['by a 502', raw('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'), 7],
    ['by a 504', raw('HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n'), 7],
  ])('%s: the token is probably consumed', async (_, fault, exit) => {
    fake.faults.info = fault
    const failed = await pair(newHome())
    expect([failed.code, jsonError(failed).hint]).toEqual([exit, expect.stringContaining('probably consumed')])
    expect(fake.requests).toHaveLength(1)
  })

  test('by the time limit: likewise', async () => {
    fake.faults.info = () => undefined
    const failed = await pair(newHome(), ['--timeout', '5'])
    expect([failed.code, jsonError(failed).hint]).toEqual([8, expect.stringContaining('probably consumed')])
  })

  test('before it went out, the token is still good', async () => {
    const failed = await pair(newHome(), ['--resolve', '*.kyma.local:*:127.0.0.2', '--timeout', '5'])
    expect(failed.code).toBe(8)
    expect(jsonError(failed).hint).not.toContain('consumed')
  })
})

describe('a gateway that refuses the new certificate for a moment is asked again', () => {
  const page = '<html><title>400 The SSL certificate error</title></html>'
  test.each([
    [
      'with the page of NGINX',
      raw(
        `HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\ncontent-length: ${page.length}\r\n\r\n${page}`,
        'close',
      ),
    ],
    ['by hanging up', raw('reset')],
  ])('%s', async (_, refuse) => {
    let asked = 0
    fake.faults.management = (request, response, body) => {
      // More often than the transport sends a request again after a connection broke.
      if (asked++ < 4) return refuse(request, response, body)
      json(response, 200, fake.goodManagement())
      return undefined
    }
    const done = await kyconnect(['pair', '--url', '-', ...timeout], {
      env: { ...fake.env, KYCONNECT_HOME: newHome() },
      input: fake.tokenUrl,
    })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain('the gateway refuses the new certificate, probably because its clock is slow')
  })

  test('but not when the certificate is older: info fails at once', async () => {
    fake.faults.management = raw('HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\n\r\n' + page, 'close')
    const failed = await info()
    expect([failed.code, jsonError(failed).code]).toEqual([4, 'ERR_CLIENT_CERTIFICATE_REFUSED'])
    expect(fake.requests).toHaveLength(1)
  })
})

describe('variables of Node', () => {
  test('NODE_TLS_REJECT_UNAUTHORIZED changes nothing, and nothing is printed about it', async () => {
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
    const refused = await pair(newHome(), ['--ca-file', fake.clientAuthority.certificateFile], env)
    expect([refused.code, jsonError(refused).code]).toEqual([4, 'ERR_SERVER_CERTIFICATE'])
    expect(refused.stderr.trim().split('\n')).toHaveLength(1)
    const done = await info(env)
    expect([done.code, done.stderr]).toEqual([0, ''])
  })

  test.each(['tls,net,http,https,stream,timer', 'undici,fetch,undici:*'])(
    'NODE_DEBUG=%s prints nothing',
    async (sections) => {
      const done = await info({ NODE_DEBUG: sections })
      expect([done.code, done.stderr]).toEqual([0, ''])
      const paired = await pair(newHome(), [], { NODE_DEBUG: sections })
      expect([paired.code, paired.stderr]).toEqual([0, ''])
    },
  )
})
