import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ClientCertificateRefusedError, NetworkError, RequestRefusedError, UsageError } from '../../src/errors.js'
import { openIdentity } from '../../src/index.js'
import type { LiveIdentity } from '../../src/live-identity/live-identity.js'
import {
  type EventOutcome,
  type EventToPublish,
  publishEvents,
  type PublishEventsOptions,
} from '../../src/live-identity/publish-events.js'
import {
  makeAuthority,
  makeClientCertificate,
  makeServerCertificate,
  type ServerCertificate,
  temporaryFolder,
} from '../support/certificates.js'
import { answer, published, receivedId } from '../support/event-runs.js'
import { metadataOf, storeAt } from '../support/identities.js'
import {
  type LaneServer,
  type ReceivedPost,
  type Script,
  type ServedConnection,
  startLaneServer,
} from '../support/lane-server.js'

/** How many events `publishEvents` reads ahead of the outcomes that are taken. */
const mostAhead = 1024

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let authority: Awaited<ReturnType<typeof makeAuthority>>
let certificate: ServerCertificate
let client: Awaited<ReturnType<typeof makeClientCertificate>>
let ca = ''
let homes = 0
let server: LaneServer
let identity: LiveIdentity
/** What the server does with the POSTs that one read brought. */
let script: Script

beforeAll(async () => {
  folder = await temporaryFolder('publish-events')
  authority = await makeAuthority(folder.path, 'ca', 'rsa')
  ca = await readFile(authority.certificateFile, 'utf8')
  ;[certificate, client] = await Promise.all([
    makeServerCertificate(folder.path, authority, ['gateway.kyma.local']),
    makeClientCertificate(folder.path, authority, 'demo'),
  ])
})
afterAll(() => folder.remove())
beforeEach(async () => {
  script = answering((post) => published(post))
  // As NGINX: otherwise each answer but the first of a round is held back until that one is acknowledged.
  const serve: Script = (...given) => {
    script(...given)
  }
  // As NGINX does: otherwise the system holds answers back until the client has acknowledged the one before.
  server = await startLaneServer(certificate, serve)
  identity = await openStored(server.port)
})
afterEach(async () => {
  await identity.close()
  await server.stop()
})

/** Opens an identity as a program does, whose gateway is on a port of this machine. */
async function openStored(port: number): Promise<LiveIdentity> {
  const home = join(folder.path, `home-${homes++}`)
  const material = { key: client.key, leaf: client.chain, chain: client.chain, ca }
  const stored = {
    ...metadataOf('demo', material),
    urls: { eventsUrl: 'https://gateway.kyma.local/demo/v1/events' },
    route: {
      nodePort: port,
      resolve: [{ host: 'gateway.kyma.local', port: null, address: '127.0.0.1' }],
      serverCa: ca,
      proxy: null,
    },
  }
  await storeAt(home).locked('demo', (change) => change.commit(stored, material))
  return openIdentity({ store: home })
}

function answering(give: (post: ReceivedPost, connection: ServedConnection) => string | undefined): Script {
  return (posts, connection) => {
    for (const post of posts) {
      const given = give(post, connection)
      if (given !== undefined) connection.socket.write(given)
    }
  }
}

const orderOf = ({ body }: Pick<ReceivedPost, 'body'>): number =>
  Number(/"data":\{"order":(\d+)/.exec(body)?.[1] ?? Number.NaN)
const numberOf = ({ event }: EventOutcome): number => orderOf({ body: JSON.stringify(event) })
const order = (number: number, more: object = {}): object => ({
  'event-type': 'order.created',
  'event-type-version': 'v1',
  'event-time': '2019-04-11T08:30:00Z',
  data: { order: number },
  ...more,
})
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const orders = (count: number): object[] => numbers(count).map((number) => order(number))
const sorted = (given: readonly number[]): number[] => [...given].sort((a, b) => a - b)

async function publishAll(
  events: AsyncIterable<EventToPublish> | Iterable<EventToPublish>,
  options?: PublishEventsOptions,
): Promise<EventOutcome[]> {
  const outcomes: EventOutcome[] = []
  for await (const outcome of publishEvents(identity, events, options)) outcomes.push(outcome)
  return outcomes
}

/** What was thrown after the outcomes that were given. */
async function publishUntilThrown(
  events: AsyncIterable<EventToPublish> | Iterable<EventToPublish>,
  options?: PublishEventsOptions,
): Promise<{ readonly outcomes: EventOutcome[]; readonly thrown: unknown }> {
  const outcomes: EventOutcome[] = []
  try {
    for await (const outcome of publishEvents(identity, events, options)) outcomes.push(outcome)
  } catch (thrown) {
    return { outcomes, thrown }
  }
  throw new Error('publishEvents has thrown nothing')
}

/** Waits for what a slow machine may take long for. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(2)
}

/** A source that counts, and whose `next` and `return` a test can hold up. */
class CountingSource implements AsyncIterableIterator<EventToPublish> {
  read = 0
  returned = 0
  /** From this event on, `next` waits for ever. */
  readonly stallsAt: number

  constructor(stallsAt = Infinity) {
    this.stallsAt = stallsAt
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<EventToPublish>> {
    if (this.read >= this.stallsAt) return new Promise(() => undefined)
    return Promise.resolve({ done: false, value: order(this.read++) })
  }

  return(): Promise<IteratorResult<EventToPublish>> {
    this.returned++
    return Promise.resolve({ done: true, value: undefined })
  }
}

function unclosableSource(): AsyncIterable<EventToPublish> {
  const source = new CountingSource()
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => source.next(),
      return: () => Promise.reject(new Error('cannot be closed')),
    }),
  }
}

/** @throws if an event has no outcome, or several, or another id than it was sent with */
function expectEachOnce(events: readonly EventToPublish[], outcomes: readonly EventOutcome[]): void {
  expect(outcomes).toHaveLength(events.length)
  const given = new Set(outcomes.map(({ event }) => event))
  expect(events.filter((event) => !given.has(event))).toEqual([])
  const sent = new Map(server.received.map((body) => [orderOf({ body }), receivedId({ body })]))
  expect(outcomes.filter((outcome) => sent.get(numberOf(outcome)) !== outcome.id)).toEqual([])
}

describe('each event has one outcome', () => {
  test.each<[string, number, PublishEventsOptions]>([
    ['by default', 5000, {}],
    ['with one connection', 1000, { concurrency: 1 }],
    ['with a rate', 40, { ratePerSecond: 50 }],
    ['with a rate and one connection', 30, { concurrency: 1, ratePerSecond: 100 }],
    ['with one key for all', 60, { key: () => 'one' }],
    ['when there is one event', 1, {}],
    ['when there is none', 0, {}],
  ])('%s', async (_, count, options) => {
    const events = orders(count)
    const outcomes = await publishAll(events, options)
    expectEachOnce(events, outcomes)
    expect(outcomes.filter(({ outcome }) => outcome !== 'published')).toEqual([])
    expect(sorted(server.received.map((body) => orderOf({ body })))).toEqual(numbers(count))
  })

  test('when the iterable ends long after its last event was answered, or was rejected', async () => {
    async function* source(last: EventToPublish): AsyncGenerator<EventToPublish> {
      yield order(0)
      await until(() => server.received.length > 0)
      yield last
      await sleep(100)
    }
    const publishWithLast = async (last: EventToPublish): Promise<string[]> => {
      server.received.length = 0
      return (await publishAll(source(last))).map(({ outcome }) => outcome).sort()
    }
    expect(await publishWithLast(order(1))).toEqual(['published', 'published'])
    expect(await publishWithLast('{}')).toEqual(['published', 'rejected'])
  })

  test('when the server closes each connection after a few requests', async () => {
    const ended = new Set<ServedConnection>()
    script = answering((post, connection) => {
      if (ended.has(connection)) return undefined
      if (post.index < 7) return published(post)
      ended.add(connection)
      connection.socket.end(published(post, 'connection: close'))
      return undefined
    })
    const events = orders(300)
    expectEachOnce(events, await publishAll(events))
  })

  test('in the order of the answers', async () => {
    let heldBack: (() => void) | undefined
    script = answering((post, { socket }) => {
      if (orderOf(post) !== 0) return published(post)
      heldBack = () => socket.write(published(post))
      return undefined
    })
    const outcomes: number[] = []
    for await (const outcome of publishEvents(identity, orders(50))) {
      outcomes.push(numberOf(outcome))
      if (outcomes.length === 49) heldBack?.()
    }
    expect(outcomes.at(-1)).toBe(0)
  })
})

describe('events', () => {
  test('may be objects, strings and bytes, in either shape, and an outcome has the event as it was given', async () => {
    const text = JSON.stringify(order(1))
    const cloudEvent = {
      specversion: '1.0',
      id: 'order-2',
      source: '/shop',
      type: 'order.created.v1',
      time: '2019-04-11T08:30:00Z',
      data: { order: 2 },
    }
    // A view of a part of a larger buffer.
    const bytes = Buffer.from(`###${JSON.stringify(order(3))}###`).subarray(3, -3)
    const events = [order(0), text, cloudEvent, bytes, new Uint8Array(Buffer.from(JSON.stringify(order(4))))]
    const outcomes = await publishAll(events)
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(events.map(() => 'published'))
    for (const event of events) expect(outcomes.filter((outcome) => outcome.event === event)).toHaveLength(1)
    expect(sorted(server.received.map((body) => orderOf({ body })))).toEqual(numbers(5))
  })

  test('keep their own ids; the id of a CloudEvent is derived from its source and id, in every run', async () => {
    const id = '00000000-0000-4000-8000-000000000001'
    const cloudEvent = { specversion: '1.0', id: '4711', source: '/shop', type: 'order.created.v1', data: { order: 1 } }
    const [first, again] = [
      await publishAll([order(0, { 'event-id': id }), cloudEvent]),
      await publishAll([order(0, { 'event-id': id }), cloudEvent]),
    ].map((outcomes) => outcomes.map((outcome) => outcome.id).sort())
    expect(first).toEqual(again)
    expect(first).toContain(id)
  })

  test('without ids have different ones, also in another run', async () => {
    const outcomes = [...(await publishAll(orders(50))), ...(await publishAll(orders(50)))]
    expect(new Set(outcomes.map(({ id }) => id)).size).toBe(100)
  })

  test('come from an iterable, an async iterable, or an iterable of promises', async () => {
    async function* later(): AsyncGenerator<object> {
      await sleep(1)
      yield* orders(3)
    }
    const promises = orders(3).map((event) => Promise.resolve(event))
    for (const source of [new Set(orders(3)), later(), promises]) {
      const outcomes = await publishAll(source)
      expect(sorted(outcomes.map(numberOf))).toEqual([0, 1, 2])
    }
  })

  test('that nothing subscribes to are ignored', async () => {
    script = answering((post) =>
      answer(
        200,
        'application/json',
        `{"event-id":"${receivedId(post)}","status":"ignored","reason":"no subscription"}`,
      ),
    )
    const [outcome] = await publishAll([order(0)])
    expect(outcome).toEqual({
      event: order(0),
      id: receivedId({ body: server.received[0] ?? '' }),
      outcome: 'ignored',
    })
  })
})

describe('a rejected event', () => {
  test('that the service would reject is not sent', async () => {
    const bad = { 'event-type': 'order.created', data: {} }
    const outcomes = await publishAll([order(0), bad, '{"event-type":', order(1)])
    expect(outcomes.filter(({ outcome }) => outcome === 'published')).toHaveLength(2)
    expect(outcomes).toContainEqual({
      event: bad,
      id: undefined,
      outcome: 'rejected',
      field: 'event-type-version',
      reason: 'event-type-version is missing',
    })
    const unreadable = outcomes.find(({ event }) => event === '{"event-type":')
    expect([unreadable?.outcome, unreadable?.id]).toEqual(['rejected', undefined])
    expect(server.received).toHaveLength(2)
  })

  test('by the service has its id and the reason, and the others are published', async () => {
    const body = JSON.stringify({
      status: 400,
      type: 'validation_violation',
      message: 'Invalid field',
      details: [{ field: 'event-time', type: 'invalid_field', message: 'Invalid field' }],
    })
    script = answering((post) => (orderOf(post) % 10 === 7 ? answer(400, 'application/json', body) : published(post)))
    const events = orders(100)
    const outcomes = await publishAll(events)
    expectEachOnce(events, outcomes)
    const rejected = outcomes.filter(({ outcome }) => outcome === 'rejected')
    expect(rejected).toHaveLength(10)
    for (const { field, reason } of rejected)
      expect([field, reason]).toEqual(['event-time', expect.stringMatching(/Invalid field/)])
  })

  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  const throwing = {
    toJSON: () => {
      throw new Error('lost')
    },
  }
  test.each<[string, unknown, RegExp]>([
    ['a cyclic object', cyclic, /^the event cannot be written as JSON: Converting circular structure to JSON$/],
    ['undefined', undefined, /^the event cannot be written as JSON$/],
    ['a function', () => 1, /^the event cannot be written as JSON$/],
    ['a bigint', 1n, /^the event cannot be written as JSON: .*BigInt$/],
    ['an object that contains a bigint', order(0, { data: 1n }), /^the event cannot be written as JSON: .*BigInt$/],
    ['an object whose toJSON throws', throwing, /^the event cannot be written as JSON: lost$/],
    ['null', null, /JSON object/],
    ['a number', 5, /JSON object/],
    ['an array', [order(0)], /JSON object/],
    ['an empty text', '', /JSON/],
    ['more than 64 KiB', order(0, { data: 'x'.repeat(65_536) }), /at most 65536/],
  ])('is %s, and the others are published', async (_, given, reason) => {
    // A program without types may yield anything.
    const source = [order(0), given, order(1)] as object[]
    const outcomes = await publishAll(source)
    expect(outcomes.filter(({ outcome }) => outcome === 'published')).toHaveLength(2)
    const [rejected] = outcomes.filter(({ outcome }) => outcome === 'rejected')
    expect(rejected).toEqual({ event: given, id: undefined, outcome: 'rejected', reason: rejected?.reason })
    expect(rejected?.reason).toMatch(reason)
  })
})

describe('failures that pass', () => {
  test('an event is sent again with the same id until it is answered', async () => {
    const attempts = new Map<number, string[]>()
    script = answering((post) => {
      const ids = attempts.get(orderOf(post)) ?? []
      attempts.set(orderOf(post), [...ids, receivedId(post)])
      if (orderOf(post) % 5 !== 0 || ids.length > 0) return published(post)
      return answer(503, 'text/html', '<html><body>503</body></html>')
    })
    const events = orders(40)
    const outcomes = await publishAll(events)
    expectEachOnce(events, outcomes)
    for (const [number, ids] of attempts) {
      expect(ids).toHaveLength(number % 5 === 0 ? 2 : 1)
      expect(new Set(ids).size).toBe(1)
    }
  })

  test('a broken connection', async () => {
    let resets = 0
    script = answering((post, { reset }) => {
      if (orderOf(post) !== 20 || resets > 0) return published(post)
      resets++
      reset()
      return undefined
    })
    const events = orders(200)
    expectEachOnce(events, await publishAll(events))
    expect(resets).toBe(1)
  })

  test('nothing is tried again when the time for it is 0', async () => {
    script = answering(() => answer(503, 'text/html', '<html><body>503</body></html>'))
    const { outcomes, thrown } = await publishUntilThrown([order(0)], { retryForMs: 0 })
    expect([outcomes, thrown]).toEqual([[], expect.objectContaining({ code: 'ERR_SERVICE_FAILED' })])
    expect(server.received).toHaveLength(1)
  })
})

describe('failures that end it', () => {
  test('a gateway that refuses the certificate: the outcomes so far come first, then its error is thrown', async () => {
    script = answering((post) =>
      orderOf(post) < 30
        ? published(post)
        : answer(400, 'text/html', '<html><title>400 The SSL certificate error</title></html>'),
    )
    const source = new CountingSource()
    const { outcomes, thrown } = await publishUntilThrown(source, { concurrency: 1 })
    expect(thrown).toBeInstanceOf(ClientCertificateRefusedError)
    expect(sorted(outcomes.map(numberOf))).toEqual(numbers(30))
    expect(source.returned).toBe(1)
  })

  test('no server', async () => {
    await server.stop()
    const { outcomes, thrown } = await publishUntilThrown(orders(3), { retryForMs: 0 })
    expect([outcomes, thrown]).toEqual([[], expect.any(NetworkError)])
  })

  test('an iterable that throws: what it gave before is published first', async () => {
    const lost = new Error('the queue is lost')
    function* source(): Generator<EventToPublish> {
      yield* orders(100)
      throw lost
    }
    async function* waitingSource(): AsyncGenerator<EventToPublish> {
      yield* orders(100)
      await sleep(1)
      throw lost
    }
    for (const given of [source(), waitingSource()]) {
      const { outcomes, thrown } = await publishUntilThrown(given, { concurrency: 2 })
      expect(thrown).toBe(lost)
      expect(sorted(outcomes.map(numberOf))).toEqual(numbers(100))
    }
  })

  test('an iterable of promises of which one is rejected', async () => {
    const lost = new Error('lost')
    let isClosed = false
    function* source(): Generator<Promise<object>> {
      try {
        yield Promise.resolve(order(0))
        yield Promise.reject(lost)
      } finally {
        isClosed = true
      }
    }
    const { outcomes, thrown } = await publishUntilThrown(source())
    expect([outcomes.length, thrown, isClosed]).toEqual([1, lost, true])
  })

  test('an iterable that throws something else than an error', async () => {
    // eslint-disable-next-line @typescript-eslint/require-await -- what it awaits is of no interest here
    async function* source(): AsyncGenerator<EventToPublish> {
      yield order(0)
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- a program may
      throw 'lost'
    }
    const { outcomes, thrown } = await publishUntilThrown(source())
    expect([outcomes.length, thrown]).toEqual([1, 'lost'])
  })

  test('a key that throws: what was read before is published first, and the iterable is closed', async () => {
    const lost = new Error('no key')
    const source = new CountingSource()
    const { outcomes, thrown } = await publishUntilThrown(source, {
      key: (event) => {
        if (orderOf({ body: JSON.stringify(event) }) === 10) throw lost
        return undefined
      },
    })
    expect([outcomes.length, thrown, source.returned]).toEqual([10, lost, 1])
  })

  test('an iterable that fails as it is closed after another failure: that one is thrown', async () => {
    script = answering((post) =>
      orderOf(post) < 5 ? published(post) : answer(404, 'text/plain', 'default backend - 404'),
    )
    const { thrown } = await publishUntilThrown(unclosableSource())
    expect(thrown).toBeInstanceOf(RequestRefusedError)
  })

  test('an identity that is closed: at once, even while everything waits', async () => {
    script = () => undefined
    const source = new CountingSource(100)
    const run = publishUntilThrown(source)
    await until(() => server.received.length > 0 && source.read === 100)
    await identity.close()
    const { outcomes, thrown } = await run
    expect([outcomes, thrown]).toEqual([[], expect.objectContaining({ message: 'the identity has been closed' })])
    expect(source.returned).toBe(1)
  })

  test('an identity that was closed before: nothing is read', async () => {
    await identity.close()
    const source = new CountingSource()
    const { thrown } = await publishUntilThrown(source)
    expect([thrown, source.read]).toEqual([expect.objectContaining({ message: 'the identity has been closed' }), 0])
  })
})

describe('keys', () => {
  test('of events with the same key, one is sent after the other, in their order', async () => {
    const unanswered = new Map<number, number>()
    let most = 0
    script = (posts, { socket }) => {
      for (const post of posts) {
        const key = orderOf(post) % 7
        unanswered.set(key, (unanswered.get(key) ?? 0) + 1)
        most = Math.max(most, unanswered.get(key) ?? 0)
        setTimeout(() => {
          unanswered.set(key, (unanswered.get(key) ?? 0) - 1)
          socket.write(published(post))
        }, 1)
      }
    }
    const events = orders(200)
    const key = (event: EventToPublish): string => String(orderOf({ body: JSON.stringify(event) }) % 7)
    expectEachOnce(events, await publishAll(events, { key }))
    expect(most).toBe(1)
    const arrived = server.received.map((body) => orderOf({ body }))
    for (const rest of numbers(7)) {
      const ofKey = arrived.filter((number) => number % 7 === rest)
      expect(ofKey).toEqual(sorted(ofKey))
    }
  })
})

describe('how fast', () => {
  test('16 connections by default, or as many as are asked for', async () => {
    /** Those that have sent requests that are not answered. */
    let busy = new Set<ServedConnection>()
    let release: () => void = () => undefined
    const measure = async (options: PublishEventsOptions, expected: number): Promise<number> => {
      busy = new Set()
      const held: (() => void)[] = []
      let isFree = false
      let proven = 0
      script = (posts, connection) => {
        for (const post of posts) {
          // The first connection is answered, so that others are opened.
          if (isFree || proven++ < 1) connection.socket.write(published(post))
          else {
            busy.add(connection)
            held.push(() => connection.socket.write(published(post)))
          }
        }
      }
      release = () => {
        isFree = true
        for (const write of held) write()
      }
      const run = publishAll(orders(400), options)
      await until(() => busy.size >= expected)
      // More would be opened by now.
      await sleep(100)
      const seen = busy.size
      release()
      expect(await run).toHaveLength(400)
      return seen
    }
    expect(await measure({}, 16)).toBe(16)
    expect(await measure({ concurrency: 3 }, 3)).toBe(3)
  })

  test('no faster than the rate', async () => {
    const startMs = performance.now()
    await publishAll(orders(31), { ratePerSecond: 100 })
    // 30 pauses of 10 ms, of which 20 ms may be made up for, and one for each connection that was opened.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(100)
  })
})

describe('a consumer that is slow', () => {
  test('holds up the reading: no more than 1,024 events ahead of the outcomes that it has taken', async () => {
    const source = new CountingSource()
    let taken = 0
    let mostSeen = 0
    const outcomes = publishEvents(identity, source)
    for await (const outcome of outcomes) {
      expect(outcome.outcome).toBe('published')
      taken++
      // Time to read as much as it would.
      if (taken === 1 || taken === 500) await sleep(100)
      mostSeen = Math.max(mostSeen, source.read - taken)
      if (taken === 3000) break
    }
    expect(mostSeen).toBe(mostAhead)
    expect(source.returned).toBe(1)
  })

  test('gets all outcomes', async () => {
    const events = orders(1500)
    const outcomes: EventOutcome[] = []
    for await (const outcome of publishEvents(identity, events)) {
      outcomes.push(outcome)
      if (outcomes.length % 100 === 0) await sleep(5)
    }
    expectEachOnce(events, outcomes)
  })

  test('gets the outcomes that were there before an error', async () => {
    script = answering((post) => (orderOf(post) < 200 ? published(post) : undefined))
    const outcomes: EventOutcome[] = []
    const run = async (): Promise<void> => {
      for await (const outcome of publishEvents(identity, new CountingSource(300), { concurrency: 1 })) {
        outcomes.push(outcome)
        if (outcomes.length > 1) continue
        // A connection has at most 16 unanswered requests: by then, more than 180 answers have arrived.
        await until(() => server.received.length >= 200)
        await identity.close()
      }
    }
    await expect(run()).rejects.toThrow('the identity has been closed')
    expect(outcomes.length).toBeGreaterThan(180)
  })
})

describe('a consumer that stops', () => {
  const stops: [string, (stop: () => AsyncGenerator<EventOutcome, void, void>) => Promise<void>][] = [
    [
      'with break',
      async (publish) => {
        for await (const outcome of publish()) {
          expect(outcome.outcome).toBe('published')
          break
        }
      },
    ],
    [
      'with an error',
      async (publish) => {
        const run = async (): Promise<void> => {
          for await (const { id } of publish()) throw new Error(`stopped after ${id}`)
        }
        await expect(run()).rejects.toThrow('stopped after')
      },
    ],
    [
      'with return()',
      async (publish) => {
        const outcomes = publish()
        await outcomes.next()
        expect(await outcomes.return()).toEqual({ done: true, value: undefined })
      },
    ],
  ]

  describe.each(stops)('%s', (_, stop) => {
    test('reads nothing more, and closes the iterable', async () => {
      const source = new CountingSource()
      await stop(() => publishEvents(identity, source))
      const readAtStop = source.read
      expect(source.returned).toBe(1)
      await sleep(50)
      expect([source.read, source.returned]).toEqual([readAtStop, 1])
      expect(source.read).toBeLessThanOrEqual(mostAhead + 1)
    })

    test('closes an iterable that waits for its next event, and does not wait for it', async () => {
      const source = new CountingSource(5)
      await stop(() => publishEvents(identity, source))
      expect(source.returned).toBe(1)
    })

    test('has the finally block of a generator run, before it goes on', async () => {
      let isClosed = false
      function* source(): Generator<EventToPublish> {
        try {
          for (let number = 0; ; number++) yield order(number)
        } finally {
          isClosed = true
        }
      }
      await stop(() => publishEvents(identity, source()))
      expect(isClosed).toBe(true)
    })

    test('does not hang with a generator that waits for ever', async () => {
      async function* source(): AsyncGenerator<EventToPublish> {
        yield order(0)
        await new Promise(() => undefined)
      }
      await stop(() => publishEvents(identity, source()))
    })

    test('ends all connections', async () => {
      const open = new Set<ServedConnection>()
      script = answering((post, connection) => {
        if (!open.has(connection)) {
          open.add(connection)
          connection.socket.on('close', () => open.delete(connection))
        }
        return published(post)
      })
      await stop(() => publishEvents(identity, new CountingSource()))
      await until(() => open.size === 0)
      const { length } = server.received
      await sleep(50)
      expect(server.received).toHaveLength(length)
    })
  })

  test('with break learns that the iterable failed as it was closed', async () => {
    const run = async (): Promise<void> => {
      for await (const { outcome } of publishEvents(identity, unclosableSource())) {
        expect(outcome).toBe('published')
        break
      }
    }
    await expect(run()).rejects.toThrow('cannot be closed')
  })

  test('before the first outcome was asked for: the iterable is not opened', async () => {
    const source = new CountingSource()
    const outcomes = publishEvents(identity, source)
    await outcomes.return()
    await sleep(20)
    expect([source.read, source.returned, server.connections()]).toEqual([0, 0, 0])
  })

  test('while an event is on its way: it is neither sent nor passed to the key', async () => {
    let give: () => void = () => undefined
    async function* source(): AsyncGenerator<EventToPublish> {
      yield order(0)
      await new Promise<void>((resolve) => (give = resolve))
      yield order(1)
    }
    const asked: EventToPublish[] = []
    const key = (event: EventToPublish): undefined => void asked.push(event)
    for await (const { outcome } of publishEvents(identity, source(), { key })) {
      expect(outcome).toBe('published')
      break
    }
    give()
    await sleep(50)
    expect([asked, server.received.length]).toEqual([[order(0)], 1])
  })

  test('while an iterable throws later: that error is not left unhandled', async () => {
    let fail: (error: Error) => void = () => undefined
    async function* source(): AsyncGenerator<EventToPublish> {
      yield order(0)
      await new Promise((_, reject) => {
        fail = reject
      })
    }
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => {
      unhandled.push(reason)
    }
    process.on('unhandledRejection', note)
    for await (const { outcome } of publishEvents(identity, source())) {
      expect(outcome).toBe('published')
      break
    }
    fail(new Error('too late'))
    await sleep(50)
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })
})

test('an iterable that never ends is published for as long as its outcomes are taken', async () => {
  let taken = 0
  for await (const { outcome } of publishEvents(identity, new CountingSource(), { concurrency: 4 })) {
    expect(outcome).toBe('published')
    if (++taken === 5000) break
  }
  expect(taken).toBe(5000)
})

test('an event that arrives late is sent at once, and its outcome is given before the next one arrives', async () => {
  let given = 0
  async function* source(): AsyncGenerator<EventToPublish> {
    for (const event of orders(5)) {
      await until(() => given === orderOf({ body: JSON.stringify(event) }))
      await sleep(5)
      yield event
    }
  }
  for await (const { outcome } of publishEvents(identity, source())) {
    expect(outcome).toBe('published')
    given++
  }
  expect(given).toBe(5)
})

test('two at a time on one identity do not disturb each other', async () => {
  const second = numbers(500).map((number) => order(number + 1000))
  const stopped = new CountingSource()
  const [one, other] = await Promise.all([
    publishAll(orders(500)),
    publishAll(second, { concurrency: 2 }),
    (async () => {
      for await (const { outcome } of publishEvents(identity, stopped)) if (outcome !== 'rejected') break
    })(),
  ])
  expect(sorted(one.map(numberOf))).toEqual(numbers(500))
  expect(sorted(other.map(numberOf))).toEqual(numbers(500).map((number) => number + 1000))
  expect(new Set([...one, ...other].map(({ id }) => id)).size).toBe(1000)
})

describe('options', () => {
  test.each<[string, PublishEventsOptions]>([
    ...[0, -1, 129, 1.5, Number.NaN, Infinity].map((value): [string, PublishEventsOptions] => [
      `concurrency takes a whole number from 1 to 128, not ${value}`,
      { concurrency: value },
    ]),
    ...[0, -1, 1_000_001, 0.5, Number.NaN, Infinity].map((value): [string, PublishEventsOptions] => [
      `ratePerSecond takes a whole number from 1 to 1000000, not ${value}`,
      { ratePerSecond: value },
    ]),
    ...[-1, Number.NaN, 0.5, Infinity].map((value): [string, PublishEventsOptions] => [
      `retryForMs takes a whole number from 0 to 359996400000, not ${value}`,
      { retryForMs: value },
    ]),
    [
      'concurrency takes a whole number from 1 to 128, not a value of type string',
      { concurrency: '4' as unknown as number },
    ],
  ])('%s', (message, options) => {
    const source = new CountingSource()
    expect(() => publishEvents(identity, source, options)).toThrow(new UsageError(message))
    expect(source.read).toBe(0)
  })

  test('the limits themselves are fine, and undefined is the default', async () => {
    for (const options of [
      { concurrency: 1, ratePerSecond: 1_000_000, retryForMs: 359_996_400_000 },
      { concurrency: 128, ratePerSecond: 1, retryForMs: 0 },
      { concurrency: undefined, ratePerSecond: undefined, retryForMs: undefined, key: undefined },
    ]) {
      expect((await publishAll([order(0)], options)).map(({ outcome }) => outcome)).toEqual(['published'])
    }
  })

  test('one text is not an iterable of events, though JavaScript takes it for one of characters', () => {
    expect(() => publishEvents(identity, JSON.stringify(order(0)))).toThrow(UsageError)
  })
})
