/** The events that the sandbox accepted, as tests read them, and the connections that bring them. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createEventList, type AcceptedEvent } from '../../src/sandbox/events/event-list.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { pair, type Identity } from './identity.js'
import { startTestSandbox, wireTo, type Reply } from './wire.js'

const PATH = '/sandbox/events'
let now = new Date()
let sandbox: Sandbox
let identities: Readonly<Record<'demo' | 'shop', Identity>>
beforeAll(async () => {
  sandbox = await startTestSandbox({ subscriptions: [{ type: 'order.created', version: 'v1' }], now: () => now })
  identities = { demo: await pair(sandbox, 'demo'), shop: await pair(sandbox, 'shop') }
})
afterAll(() => sandbox.close())
beforeEach(async () => {
  expect((await wireTo(sandbox).internal(PATH, { method: 'DELETE' })).status).toBe(204)
})

const idOf = (number: number): string => `00000000-0000-0000-0000-${String(number).padStart(12, '0')}`
const event = (number: number, more: object = {}): string =>
  JSON.stringify({
    'event-type': 'order.created',
    'event-type-version': 'v1',
    'event-id': idOf(number),
    'event-time': '2019-04-11T08:30:00Z',
    data: { number },
    ...more,
  })
const publish = (app: 'demo' | 'shop', body: string): Promise<Reply> =>
  wireTo(sandbox).gateway(`/${app}/v1/events`, { method: 'POST', body, ...identities[app] })
const list = async (query = ''): Promise<unknown> => {
  const { status, body } = await wireTo(sandbox).internal(PATH + query)
  expect(status).toBe(200)
  return JSON.parse(body)
}

describe('the list of events', () => {
  test('has what was accepted, in order of arrival, and not what was refused', async () => {
    expect((await publish('demo', event(1))).status).toBe(200)
    expect((await publish('shop', event(2, { 'event-type': 'order.deleted', data: '<b>' }))).status).toBe(200)
    expect((await publish('demo', event(3, { data: null }))).status).toBe(400)
    const expected = (number: number, app: string, type: string, data: unknown, status: string): object => ({
      app,
      'event-id': idOf(number),
      'event-type': type,
      'event-type-version': 'v1',
      'event-time': '2019-04-11T08:30:00Z',
      data,
      status,
    })
    const created = expected(1, 'demo', 'order.created', { number: 1 }, 'published')
    const deleted = expected(2, 'shop', 'order.deleted', '<b>', 'ignored')
    expect(await list()).toEqual({ accepted: 2, kept: 2, events: [created, deleted] })
    expect(await list('?app=demo')).toEqual({ accepted: 2, kept: 2, events: [created] })
    expect(await list('?type=order.deleted')).toEqual({ accepted: 2, kept: 2, events: [deleted] })
    expect(await list('?app=demo&type=order.deleted')).toEqual({ accepted: 2, kept: 2, events: [] })
    expect(await list('?app=demo&app=shop')).toEqual({ accepted: 2, kept: 2, events: [created, deleted] })
  })

  test('shows the id that an event without one was given, and its data to the last digit', async () => {
    const body = event(1, { 'event-id': '' }).replace('{"number":1}', '[1.0, 12345678901234567890]')
    const id = /[0-9a-f-]{36}/.exec((await publish('demo', body)).body)?.[0] ?? ''
    const { body: shown } = await wireTo(sandbox).internal(PATH)
    expect(shown).toContain(`"event-id":"${id}"`)
    expect(shown).toContain('"data":[1.0,12345678901234567890]')
  })

  test('has U+FFFD for half a pair of surrogates, as Go stores it, so that any program can read the list', async () => {
    const body = event(1).replace('{"number":1}', String.raw`{"\ud800":"\udfffx\ud83d\ude00","n":"\\ud800"}`)
    expect((await publish('demo', body)).status).toBe(200)
    const { body: shown } = await wireTo(sandbox).internal(PATH)
    expect(shown).toContain('"data":{"\uFFFD":"\uFFFDx' + String.raw`\ud83d\ude00","n":"\\ud800"}`)
    const jq = spawnSync('jq', ['-c', '.events[0].data'], { input: shown, encoding: 'utf8' })
    expect([jq.status, jq.stdout, jq.stderr]).toEqual([0, '{"\uFFFD":"\uFFFDx😀","n":"\\\\ud800"}\n', ''])
  })

  test('is emptied by DELETE, and takes no other method and no other parameter', async () => {
    await publish('demo', event(1))
    const { internal } = wireTo(sandbox)
    expect(await internal(`${PATH}?typ=x`)).toMatchObject({
      status: 400,
      body: '{"code":400,"error":"Unknown parameter typ: expected app or type."}\n',
    })
    expect((await internal(PATH, { method: 'POST' })).status).toBe(405)
    expect((await internal(PATH, { headers: { origin: 'https://attacker.example' } })).status).toBe(403)
    expect((await internal(PATH, { method: 'DELETE' })).status).toBe(204)
    expect(await list()).toEqual({ accepted: 0, kept: 0, events: [] })
  })

  test('is not on the gateway', async () => {
    expect((await wireTo(sandbox).gateway(PATH, identities.demo)).status).toBe(404)
  })

  test('keeps the newest events within its bounds, and counts all', () => {
    const read = (limits: { maxEvents: number; maxBytes: number }): unknown => {
      const events = createEventList(limits)
      for (let number = 1; number <= 100; number++) {
        const one: AcceptedEvent = {
          app: 'demo',
          type: 'a',
          version: 'v1',
          id: idOf(number),
          time: '',
          data: '"ü"',
          status: 'ignored',
        }
        events.add(one)
      }
      const request = { method: 'GET', path: PATH, query: new URLSearchParams(), headers: {}, body: Buffer.alloc(0) }
      const answer = events.api(request)
      if (answer instanceof Promise) throw new Error('the answer is not there yet')
      const parsed = JSON.parse(answer.body) as { accepted: number; kept: number; events: { 'event-id': string }[] }
      return { ...parsed, events: parsed.events.map((shown) => Number(shown['event-id'].slice(-12))) }
    }
    expect(read({ maxEvents: 3, maxBytes: 10_000 })).toEqual({ accepted: 100, kept: 3, events: [98, 99, 100] })
    const bytes = Buffer.byteLength(
      `{"app":"demo","event-id":"${idOf(1)}","event-type":"a","event-type-version":"v1","event-time":"","data":"ü","status":"ignored"}`,
    )
    expect(read({ maxEvents: 9, maxBytes: 2 * bytes })).toEqual({ accepted: 100, kept: 2, events: [99, 100] })
    expect(read({ maxEvents: 9, maxBytes: 2 * bytes - 1 })).toEqual({ accepted: 100, kept: 1, events: [100] })
  })
})

/** Sends requests over one connection without waiting for answers; gives the answers once the last one has come. */
async function pipeline(bodies: readonly string[]): Promise<readonly string[]> {
  const { socket, answers } = open()
  await once(socket, 'secureConnect')
  socket.write(bodies.map(requestOf).join(''))
  while (answers().length < bodies.length) await once(socket, 'data')
  socket.destroy()
  return answers()
}

const requestOf = (body: string): string =>
  `POST /demo/v1/events HTTP/1.1\r\nhost: gateway.kyma.local\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

function open(): { socket: ReturnType<typeof connect>; answers: () => readonly string[] } {
  const { gatewayPort, caFile } = sandbox.ready
  const ca = readFileSync(caFile)
  const socket = connect({
    host: '127.0.0.1',
    port: gatewayPort,
    servername: 'gateway.kyma.local',
    ca,
    ...identities.demo,
  })
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  return { socket, answers: () => text.split('HTTP/1.1 ').slice(1) }
}

describe('a connection', () => {
  test('that sends many events at once gets their answers in order, refusals among them', async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    const isRefused = (number: number): boolean => number % 7 === 0
    const answers = await pipeline(
      numbers.map((number) => event(number, isRefused(number) ? { 'event-type': `_${'x'.repeat(number)}` } : {})),
    )
    const expected = numbers.map((number) => (isRefused(number) ? 400 : idOf(number)))
    const shown = answers.map((answer) => (answer.startsWith('400 ') ? 400 : /"event-id":"([^"]+)"/.exec(answer)?.[1]))
    expect(shown).toEqual(expected)
    const accepted = (await list()) as { events: { 'event-id': string }[] }
    expect(accepted.events.map((one) => one['event-id'])).toEqual(
      numbers.filter((number) => !isRefused(number)).map(idOf),
    )
  })

  test('is refused as soon as its certificate has expired', async () => {
    const { socket, answers } = open()
    await once(socket, 'secureConnect')
    const started = now
    try {
      for (const [days, status] of [
        [0, 200],
        [91, 200],
        [93, 400],
      ] as const) {
        now = new Date(started.getTime() + days * 24 * 60 * 60 * 1000)
        const before = answers().length
        socket.write(requestOf(event(1)))
        while (answers().length === before) await once(socket, 'data')
        expect(answers().at(-1)?.slice(0, 3)).toBe(String(status))
      }
      expect(answers().at(-1)).toContain('The SSL certificate error')
    } finally {
      now = started
      socket.destroy()
    }
  })
})
