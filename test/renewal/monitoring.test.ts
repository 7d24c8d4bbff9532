import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { parseListenAddress } from '../../src/cli/commands/renew/listen-address.js'
import { serveMonitoring } from '../../src/renewal/monitoring.js'

let problems: string[] = []
const pages = { problems: () => problems, metrics: () => 'kyconnect_x 1\n' }
const open: { close: () => void }[] = []
afterEach(() => {
  for (const each of open.splice(0)) each.close()
  problems = []
})

async function serve(): Promise<string> {
  const server = await serveMonitoring({ address: '127.0.0.1', port: 0 }, pages)
  open.push(server)
  return server.url
}

async function dial(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** All that arrives until the connection ends. */
async function rest(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(socket, 'close')
  return text
}

test('/healthz is 200 when all is well, else 503 with a line for each problem', async () => {
  const url = await serve()
  const well = await fetch(`${url}/healthz`)
  expect([well.status, await well.text()]).toEqual([200, 'ok\n'])
  problems = ['shop: the certificate has expired', 'erp: the renewal is overdue']
  const bad = await fetch(`${url}/healthz`)
  expect([bad.status, await bad.text()]).toEqual([503, `${problems.join('\n')}\n`])
})

test("/metrics is Prometheus' text format, with a query as without", async () => {
  const url = await serve()
  for (const path of ['/metrics', '/metrics?name=x']) {
    const answer = await fetch(url + path)
    expect([answer.status, await answer.text()]).toEqual([200, 'kyconnect_x 1\n'])
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  }
})

test('other paths are 404, other methods 405', async () => {
  const url = await serve()
  for (const path of ['/', '/healthz/', '/metrics/x', '//healthz', '/%68ealthz'])
    expect((await fetch(url + path)).status).toBe(404)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const answer = await fetch(`${url}/metrics`, { method })
    expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'GET, HEAD'])
  }
})

test('HEAD is answered as GET is, without the body', async () => {
  const url = await serve()
  const well = await fetch(`${url}/healthz`, { method: 'HEAD' })
  expect([well.status, well.headers.get('content-length'), await well.text()]).toEqual([200, '3', ''])
  problems = ['shop: the certificate has expired']
  expect((await fetch(`${url}/healthz`, { method: 'HEAD' })).status).toBe(503)
})

test('large headers are refused, a client that sends nothing or half a request is dropped', async () => {
  const url = await serve()
  const large = await dial(url)
  large.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
  expect(await rest(large)).toMatch(/^HTTP\/1\.1 431 /)
  const [silent, half] = await Promise.all([dial(url), dial(url)])
  half.write('GET /healthz HTTP/1.1\r\nHost: x\r\n')
  await Promise.all([rest(silent), rest(half)])
})

test('connections are bounded, one answer each, and a body is not read', async () => {
  const url = await serve()
  const idle = await Promise.all(Array.from({ length: 32 }, () => dial(url)))
  const surplus = await dial(url)
  expect(await rest(surplus)).toBe('')
  idle[0]?.destroy()
  await expect
    .poll(
      () =>
        fetch(`${url}/healthz`).then(
          ({ status }) => status,
          () => 0,
        ),
      { timeout: 20_000 },
    )
    .toBe(200)
  for (const socket of idle) socket.destroy()
  const body = await dial(url)
  body.write('GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx')
  expect(await rest(body)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*connection: close[^]*ok\n/i)
})

test('a port that is in use is reported', async () => {
  const port = Number(new URL(await serve()).port)
  await expect(serveMonitoring({ address: '127.0.0.1', port }, pages)).rejects.toMatchObject({
    code: 'ERR_NETWORK',
    reason: 'EADDRINUSE',
    message: `port ${port} of 127.0.0.1 cannot be opened: already in use`,
  })
})

describe('--listen', () => {
  test.each([
    ['9464', '127.0.0.1', 9464],
    [':9464', '127.0.0.1', 9464],
    ['localhost:9464', '127.0.0.1', 9464],
    ['0.0.0.0:9464', '0.0.0.0', 9464],
    ['[::1]:9464', '::1', 9464],
    ['127.0.0.1:0', '127.0.0.1', 0],
  ])('%s is %s, port %i', (text, address, port) => {
    expect(parseListenAddress(text)).toEqual({ address, port })
  })

  test.each([
    '',
    ':',
    '::1:9464',
    '[127.0.0.1]:9464',
    'example.com:9464',
    '127.0.0.1',
    '0.0.0.0:65536',
    '1.2.3.4:-1',
    '[::1]',
  ])('%j is refused', (text) => {
    expect(() => parseListenAddress(text)).toThrow(/^--listen takes/)
  })
})
