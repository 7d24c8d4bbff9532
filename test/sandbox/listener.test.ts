import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { openPort, servePlain, type Port, type Route } from '../../src/sandbox/http/listener.js'

const ports: Port[] = []
afterEach(() => Promise.all(ports.splice(0).map((port) => port.close())))

const small: Route = {
  bodyLimit: 4,
  tooLarge: { status: 413, headers: {}, body: 'too large' },
  backend: ({ body }) => ({ status: 200, headers: {}, body: body.toString() }),
}

/** Sends a request's head and then a byte every 20 ms; gives what came back until the connection ended, and after how many milliseconds. */
async function drip(front: () => Route | Route['tooLarge']): Promise<{ answer: string; milliseconds: number }> {
  const port = await openPort(0)
  ports.push(port)
  servePlain(port, { front, tell: () => undefined, bodyTime: 200 })
  const socket = connect(port.number, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  const started = performance.now()
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n')
  const timer = setInterval(() => socket.write('x'), 20)
  // Not events.once: a reset is as good an end as any here.
  await new Promise((resolve) => socket.once('close', resolve))
  clearInterval(timer)
  return { answer: answer.split('\r\n', 1)[0] ?? '', milliseconds: performance.now() - started }
}

test.each([
  ['that is read', () => ({ ...small, bodyLimit: 100_000 }), ''],
  ['that grew too large', () => small, 'HTTP/1.1 413 Payload Too Large'],
  ['that was refused by its head', () => small.tooLarge, 'HTTP/1.1 413 Payload Too Large'],
])('a body %s is not waited for for ever', async (_what, front, expected) => {
  const { answer, milliseconds } = await drip(front)
  expect(answer).toBe(expected)
  expect(milliseconds).toBeGreaterThan(150)
  expect(milliseconds).toBeLessThan(2000)
})
