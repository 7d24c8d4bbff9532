import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { EventRoute } from '../../src/events/event-sender.js'
import type { Route } from '../../src/transport/route.js'
import {
  AnswerMalformedError,
  CertificateExpiredError,
  ClientCertificateRefusedError,
  InterruptedError,
  NetworkError,
  RequestRefusedError,
  ServiceFailedError,
} from '../../src/errors.js'
import {
  makeAuthority,
  makeServerCertificate,
  makeClientCertificate,
  type ServerCertificate,
  temporaryFolder,
} from '../support/certificates.js'
import {
  answer,
  cancellable,
  idOf,
  published,
  quickClock,
  receivedId,
  runSender,
  type TestEvent,
  testEvents,
} from '../support/event-runs.js'
import { eventsUrl, laneRoute } from '../support/lane-runs.js'
import {
  type LaneServer,
  type ReceivedPost,
  type Script,
  type ServedConnection,
  startLaneServer,
} from '../support/lane-server.js'
import { startRefusingServer } from '../support/refusing-server.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let authority: Awaited<ReturnType<typeof makeAuthority>>
let certificate: ServerCertificate
let ca = ''
let server: LaneServer | undefined

beforeAll(async () => {
  folder = await temporaryFolder('event-sender')
  authority = await makeAuthority(folder.path, 'ca', 'ec')
  ca = await readFile(authority.certificateFile, 'utf8')
  certificate = await makeServerCertificate(folder.path, authority, ['gateway.kyma.local'])
})
afterAll(() => folder.remove())
afterEach(async () => {
  await server?.stop()
  server = undefined
})

async function serve(script: Script): Promise<LaneServer> {
  server = await startLaneServer(certificate, script)
  return server
}

/** Answers each POST with what the function returns. */
function answering(give: (post: ReceivedPost, connection: ServedConnection) => string): Script {
  return (posts, connection) => {
    for (const post of posts) connection.socket.write(give(post, connection))
  }
}

const page = (title: string): string =>
  `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx/1.15.6</center>\r\n</body>\r\n</html>\r\n`
const certificatePage = (): string => answer(400, 'text/html', page('400 The SSL certificate error'))

const half = (text: string): string => text.slice(0, Math.floor(text.length / 2))
const idsOf = (received: readonly string[]): string[] => received.map((body) => receivedId({ body }))

/** What a server does to one POST. It then reads nothing more from that connection, unless it `staysOpen`. */
interface Fault {
  readonly name: string
  /** Whether events are retried: one may have been processed without an answer, or was refused for the moment. */
  readonly losesAnswers: boolean
  readonly timeoutMs?: number
  readonly staysOpen?: true
  readonly strike: (post: ReceivedPost, connection: ServedConnection) => void
}

const faults: readonly Fault[] = [
  {
    name: 'a reset before the answer',
    losesAnswers: true,
    strike: (_, { reset }) => {
      reset()
    },
  },
  {
    name: 'a reset in the answer',
    losesAnswers: true,
    strike: (post, { socket, reset }) => {
      socket.write(half(published(post)), reset)
    },
  },
  {
    name: 'a reset after the answer',
    losesAnswers: true,
    strike: (post, { socket, reset }) => {
      socket.write(published(post), reset)
    },
  },
  {
    name: 'an end before the answer',
    losesAnswers: true,
    strike: (_, { socket }) => {
      socket.end()
    },
  },
  {
    name: 'an announced end',
    losesAnswers: false,
    strike: (post, { socket }) => {
      socket.end(published(post, 'connection: close'))
    },
  },
  { name: 'silence', losesAnswers: true, timeoutMs: 300, strike: () => undefined },
  {
    name: 'silence in the answer',
    losesAnswers: true,
    timeoutMs: 300,
    strike: (post, { socket }) => {
      socket.write(half(published(post)))
    },
  },
  {
    name: 'garbage',
    losesAnswers: true,
    strike: (_, { socket }) => {
      socket.write('garbage\r\n\r\ngarbage')
    },
  },
  {
    name: 'a burst of 503',
    losesAnswers: true,
    staysOpen: true,
    strike: (_, { socket }) => {
      socket.write(answer(503, 'text/html', page('503 Service Temporarily Unavailable')))
    },
  },
  {
    name: 'a page of HTML instead of an answer',
    losesAnswers: true,
    staysOpen: true,
    strike: (_, { socket }) => {
      socket.write(answer(200, 'text/html', '<html><body>Log in</body></html>'))
    },
  },
]

/** How many POSTs in a row a fault strikes that leaves the connection open. */
const burst = 40

describe('no event is lost, and each has one outcome', () => {
  describe.each([
    { where: 'on the first requests of a connection', every: 3 },
    { where: 'on a connection with a full window', every: 97 },
  ])('$where', ({ every }) => {
    describe.each([
      { kind: 'without keys', keys: undefined },
      { kind: 'with keys', keys: 20 },
    ])('$kind', ({ keys }) => {
      test.each(faults)('$name', async ({ name, strike, losesAnswers, timeoutMs, staysOpen }) => {
        let arrived = 0
        let struck = 0
        /** How often the service processed an event. */
        const processed = new Map<string, number>()
        const ended = new Set<ServedConnection>()
        const { port, received } = await serve((posts, connection) => {
          for (const post of posts) {
            if (ended.has(connection)) return
            const id = receivedId(post)
            processed.set(id, (processed.get(id) ?? 0) + 1)
            const isStruck = ++arrived % every === 0 || (staysOpen === true && struck > 0)
            if (isStruck && struck < (staysOpen === true ? burst : 6)) {
              struck++
              if (staysOpen !== true) ended.add(connection)
              strike(post, connection)
            } else connection.socket.write(published(post))
          }
        })
        const events = testEvents(800, keys)
        const run = runSender(laneRoute(port, ca, { timeoutMs: timeoutMs ?? 20_000 }), events)
        expect(await run.ended).toBeUndefined()
        expect(struck).toBe(staysOpen === true ? burst : 6)
        expect([...run.outcomes.keys()].sort()).toEqual(events.map(({ id }) => id))
        expect(
          [...run.outcomes.values()].filter(([first, ...more]) => first?.kind !== 'published' || more.length > 0),
        ).toEqual([])
        expect([...processed.keys()].sort()).toEqual(events.map(({ id }) => id))
        const twice = [...processed.values()].filter((times) => times > 1).length
        const { retried, maybeTwice } = run.counts()
        // NGINX answers 503 only without having called the service.
        if (!name.includes('503')) expect(maybeTwice).toBeGreaterThanOrEqual(twice)
        expect(retried).toBeGreaterThanOrEqual(maybeTwice)
        if (losesAnswers) expect(retried).toBeGreaterThan(0)
        else expect([twice, retried, maybeTwice]).toEqual([0, 0, 0])
        if (keys !== undefined) expectOrderWithinKeys(received, keys)
      })
    })
  })
})

/** An event is sent only after the one before with the same key was answered, and is then never sent again. */
function expectOrderWithinKeys(received: readonly string[], keys: number): void {
  const numbers = idsOf(received).map((id) => Number(id.slice(-12)))
  const last = new Map<number, number>()
  const outOfOrder = numbers.filter((number) => {
    const before = last.get(number % keys) ?? -1
    last.set(number % keys, number)
    return number < before
  })
  expect(outOfOrder).toEqual([])
}

test('of events with the same key, no two are unanswered at the same time', async () => {
  const unanswered = new Map<string, number>()
  let most = 0
  const { port } = await serve((posts, { socket }) => {
    for (const post of posts) {
      const key = /"data":"([^"]+)"/.exec(post.body)?.[1] ?? ''
      unanswered.set(key, (unanswered.get(key) ?? 0) + 1)
      most = Math.max(most, unanswered.get(key) ?? 0)
      setTimeout(() => {
        unanswered.set(key, (unanswered.get(key) ?? 0) - 1)
        socket.write(published(post))
      }, 2)
    }
  })
  const run = runSender(laneRoute(port, ca), testEvents(400, 7), { concurrency: 8 })
  expect(await run.ended).toBeUndefined()
  expect(run.outcomes.size).toBe(400)
  expect(most).toBe(1)
})

test('events of a connection that announces its end are neither retried nor counted as maybe twice', async () => {
  const { port, received, connections } = await serve((posts, { socket }) => {
    for (const post of posts) {
      if (post.index === 40) {
        socket.end(published(post, 'connection: close'))
        return
      }
      socket.write(published(post))
    }
  })
  const run = runSender(laneRoute(port, ca), testEvents(2000))
  expect(await run.ended).toBeUndefined()
  expect(run.outcomes.size).toBe(2000)
  expect(run.counts()).toEqual({ retried: 0, maybeTwice: 0 })
  expect(run.troubles).toEqual([])
  expect(connections()).toBeGreaterThanOrEqual(49)
  // What was pipelined after the announcement was sent again.
  expect(received.length).toBeGreaterThan(2000)
})

test('a server that drops pipelined requests is sent one at a time, and the owner learns it once', async () => {
  const { port } = await serve((posts, { socket }) => {
    const [first, ...dropped] = posts
    if (first !== undefined) socket.write(published(first))
    if (dropped.length > 0) socket.end()
  })
  const run = runSender(laneRoute(port, ca), testEvents(300))
  expect(await run.ended).toBeUndefined()
  expect(run.outcomes.size).toBe(300)
  expect(run.timesGivenUp()).toBe(1)
})

describe('answers', () => {
  const envoyText = 'upstream connect error or disconnect/reset before headers. reset reason: connection termination'

  test.each([
    ['a 503 of NGINX', () => answer(503, 'text/html', page('503 Service Temporarily Unavailable')), 0],
    ['a 503 of the service', () => answer(503, 'application/json', '{"status":503,"type":"unavailable"}'), 0],
    ['a 503 of Envoy', () => answer(503, 'text/plain', envoyText), 1],
    ['a 503 in other JSON', () => answer(503, 'application/json', '{"code":503,"error":"unavailable"}'), 1],
    ['408', () => answer(408, 'text/html', page('408 Request Time-out')), 0],
    ['429', () => answer(429, 'text/plain', 'slow down'), 0],
    ['200 without a body', () => answer(200, 'application/json', ''), 1],
    ['201 without a body', () => answer(201, 'application/json', ''), 1],
    ['500 of the bus', () => answer(500, 'text/plain', 'dial tcp: connection refused'), 1],
    ['502', () => answer(502, 'text/html', page('502 Bad Gateway')), 1],
    ['200 with a page of a proxy', () => answer(200, 'text/html', page('Log in')), 1],
  ])('after %s the event is sent again', async (_, failure, maybeTwicePerRetry) => {
    const failed = new Set<string>()
    const { port, received } = await serve(
      answering((post) => {
        const id = receivedId(post)
        if (failed.size >= 50 || failed.has(id)) return published(post)
        failed.add(id)
        return failure()
      }),
    )
    const run = runSender(laneRoute(port, ca), testEvents(300))
    expect(await run.ended).toBeUndefined()
    expect([...run.outcomes.values()].map((list) => list.length)).toEqual(Array.from({ length: 300 }, () => 1))
    expect(received).toHaveLength(350)
    expect(run.counts()).toEqual({ retried: 50, maybeTwice: 50 * maybeTwicePerRetry })
  })

  test.each([
    ['the page of the ingress that refuses the certificate', certificatePage, ClientCertificateRefusedError],
    [
      'any other page with status 400',
      () => answer(400, 'text/html', page('400 Bad Request')),
      ClientCertificateRefusedError,
    ],
    [
      'the page about plain HTTP',
      () => answer(400, 'text/html', page('400 The plain HTTP request was sent to HTTPS port')),
      RequestRefusedError,
    ],
    [
      'JSON with status 400 that is not of the service',
      () => answer(400, 'application/json', '{"code":400}'),
      RequestRefusedError,
    ],
    [
      'the page of the ingress for another App',
      () => answer(403, 'text/html', page('403 Forbidden')),
      ClientCertificateRefusedError,
    ],
    ['the default backend', () => answer(404, 'text/plain', 'default backend - 404'), RequestRefusedError],
  ])('%s ends the run', async (_, refusal, error) => {
    const { port } = await serve(answering((post) => (receivedId(post) === idOf(20) ? refusal() : published(post))))
    const run = runSender(laneRoute(port, ca), testEvents(1000), { concurrency: 1 })
    expect(await run.ended).toBeInstanceOf(error)
    expect(run.outcomes.get(idOf(20))).toBeUndefined()
    expect(run.outcomes.size).toBeGreaterThanOrEqual(20)
    expect([...run.outcomes.values()].flat().every(({ kind }) => kind === 'published')).toBe(true)
  })

  test.each([202, 204])('%d without a body accepts the event', async (status) => {
    const accepted = status === 204 ? 'HTTP/1.1 204 No Content\r\n\r\n' : answer(202, 'application/json', '')
    const { port, received } = await serve(answering(() => accepted))
    const run = runSender(laneRoute(port, ca), testEvents(100))
    expect(await run.ended).toBeUndefined()
    expect([...run.outcomes.values()].flat()).toEqual(Array.from({ length: 100 }, () => ({ kind: 'published' })))
    expect(received).toHaveLength(100)
  })

  test('the page of the gateway for a body that is too large rejects the event', async () => {
    const { port } = await serve(
      answering((post) =>
        receivedId(post) === idOf(3)
          ? answer(413, 'text/html', page('413 Request Entity Too Large'), 'connection: close')
          : published(post),
      ),
    )
    const run = runSender(laneRoute(port, ca), testEvents(50))
    expect(await run.ended).toBeUndefined()
    expect(run.outcomes.get(idOf(3))).toEqual([
      { kind: 'rejected', reason: 'the gateway does not accept an event of this size', field: undefined, status: 413 },
    ])
    expect(run.outcomes.size).toBe(50)
  })

  test('a rejection is the outcome of its event, and the others go on', async () => {
    const body = JSON.stringify({
      status: 400,
      type: 'validation_violation',
      message: 'Invalid field',
      details: [{ field: 'event-time', type: 'invalid_field', message: 'Invalid field' }],
    })
    const { port } = await serve(
      answering((post) => (receivedId(post).endsWith('7') ? answer(400, 'application/json', body) : published(post))),
    )
    const run = runSender(laneRoute(port, ca), testEvents(200))
    expect(await run.ended).toBeUndefined()
    const rejected = [...run.outcomes].filter(([, [outcome]]) => outcome?.kind === 'rejected').map(([id]) => id)
    expect(rejected.sort()).toEqual(Array.from({ length: 20 }, (_, index) => idOf(index * 10 + 7)))
    expect(run.outcomes.get(idOf(7))).toEqual([
      { kind: 'rejected', reason: 'event-time: Invalid field', field: 'event-time', status: 400 },
    ])
  })

  test('an answer for another event is given to none, and requests are then sent one at a time', async () => {
    let swapped = false
    const { port } = await serve((posts, { socket }) => {
      const [first, second] = posts
      if (!swapped && first !== undefined && second !== undefined) {
        swapped = true
        socket.write([second, first, ...posts.slice(2)].map((post) => published(post)).join(''))
        return
      }
      for (const post of posts) socket.write(published(post))
    })
    const run = runSender(laneRoute(port, ca), testEvents(200))
    expect(await run.ended).toBeUndefined()
    expect([...run.outcomes.values()].every((list) => list.length === 1)).toBe(true)
    expect(run.outcomes.size).toBe(200)
    expect(run.timesGivenUp()).toBe(1)
    expect(run.counts().maybeTwice).toBeGreaterThanOrEqual(2)
  })

  test('a server that always answers with another id ends the run, and not after endless repetitions', async () => {
    const { port, received } = await serve(answering(() => published({ body: `{"event-id":"${idOf(999_999)}"}` })))
    const run = runSender(laneRoute(port, ca), testEvents(200))
    const error = await run.ended
    expect(error).toBeInstanceOf(AnswerMalformedError)
    expect(run.outcomes.size).toBe(0)
    expect(received.length).toBeLessThan(20)
    // Each was alone on its connection: pipelining is not the reason.
    expect([run.timesGivenUp(), run.troubles]).toEqual([0, []])
  })
})

describe('the totals of a run that does not finish', () => {
  test.each([
    ['500', () => answer(500, 'text/plain', 'failed'), { retried: 20, maybeTwice: 20 }],
    ['503 of NGINX', () => answer(503, 'text/html', page('503 Busy')), { retried: 20, maybeTwice: 0 }],
  ])('count each event once that was sent again after a %s', async (_, failure, counts) => {
    const { port, received } = await serve(answering(failure))
    const run = runSender(laneRoute(port, ca), testEvents(20))
    const timesOf = (id: string): number => received.filter((body) => receivedId({ body }) === id).length
    await expect
      .poll(() => Math.min(...testEvents(20).map(({ id }) => timesOf(id))), { timeout: 20_000 })
      .toBeGreaterThan(2)
    run.sender.close()
    expect([run.counts(), run.outcomes.size]).toEqual([counts, 0])
  })

  test('count an event that is rejected after an attempt that may have been published', async () => {
    const rejection = '{"status":400,"type":"validation_violation","message":"Invalid field"}'
    let count = 0
    const { port } = await serve(
      answering(() =>
        count++ === 0 ? answer(500, 'text/plain', 'failed') : answer(400, 'application/json', rejection),
      ),
    )
    const run = runSender(laneRoute(port, ca), testEvents(1))
    expect(await run.ended).toBeUndefined()
    expect(run.outcomes.get(idOf(0))).toMatchObject([{ kind: 'rejected' }])
    expect(run.counts()).toEqual({ retried: 1, maybeTwice: 1 })
  })
})

test('a server that restarts is not taken for one that drops requests', async () => {
  const script: Script = (posts, { socket }) => {
    for (const post of posts) setTimeout(() => socket.write(published(post)), 5)
  }
  const start = async (): Promise<Route> => laneRoute((await serve(script)).port, ca)
  let route = await start()
  const run = runSender(() => route, testEvents(4000), { concurrency: 16 })
  // First while the connections send a few requests together, and then while their windows are full.
  for (const settled of [100, 2000]) {
    await expect.poll(() => run.outcomes.size, { timeout: 20_000, interval: 1 }).toBeGreaterThan(settled)
    await server?.stop()
    route = await start()
  }
  expect(await run.ended).toBeUndefined()
  expect([run.outcomes.size, run.timesGivenUp()]).toEqual([4000, 0])
})

describe('pauses and limits', () => {
  const closedPort = async (): Promise<number> => {
    const { port } = await serve(() => undefined)
    await server?.stop()
    server = undefined
    return port
  }

  test('the run ends with the last error once nothing has succeeded for the given time', async () => {
    const clock = quickClock()
    const port = await closedPort()
    const run = runSender(laneRoute(port, ca), testEvents(10), { retryForMs: 300_000 }, clock)
    const error = await run.ended
    expect(error).toBeInstanceOf(NetworkError)
    expect(error).toMatchObject({ reason: 'ECONNREFUSED' })
    expect(clock.monotonic()).toBeGreaterThanOrEqual(300_000)
    expect(clock.monotonic()).toBeLessThan(340_000)
    expect(run.counts()).toEqual({ retried: 0, maybeTwice: 0 })
  })

  test('a success starts the time anew', async () => {
    const clock = quickClock()
    let lastMs = 0
    const { port } = await serve(
      answering((post) => {
        // One success every 200 s is enough.
        if (clock.monotonic() - lastMs < 200_000) return answer(503, 'text/plain', 'busy')
        lastMs = clock.monotonic()
        return published(post)
      }),
    )
    const run = runSender(laneRoute(port, ca), testEvents(6), { retryForMs: 300_000 }, clock)
    expect(await run.ended).toBeUndefined()
    expect(run.outcomes.size).toBe(6)
    expect(clock.monotonic()).toBeGreaterThan(600_000)
  })

  test.each([
    ['events that fail', 0, () => 200],
    ['events that fail', 1, (attempt: number) => Math.min(30_000, 200 * 2 ** attempt)],
  ])('the pauses of %s are random, from 0.2 s to 30 s: random number %d', async (_, random, expected) => {
    const clock = quickClock()
    const { port } = await serve(answering(() => answer(503, 'text/plain', 'busy')))
    const run = runSender(
      laneRoute(port, ca),
      testEvents(1),
      { concurrency: 1, retryForMs: random === 0 ? 2000 : 200_000 },
      { ...clock, random: () => random },
    )
    expect(await run.ended).toBeInstanceOf(ServiceFailedError)
    expect(clock.pausesMs.length).toBeGreaterThan(8)
    // The limit cuts the last pause short.
    expect(clock.pausesMs.slice(0, -1)).toEqual(clock.pausesMs.slice(0, -1).map((_pause, index) => expected(index + 1)))
    expect(clock.monotonic()).toBe(random === 0 ? 2000 : 200_000)
  })

  test.each([
    [7, 7000],
    [600, 30_000],
  ])('a server that asks for %d s with Retry-After gets a pause of %d ms', async (seconds, pauseMs) => {
    const clock = quickClock()
    let count = 0
    const { port } = await serve(
      answering((post) =>
        count++ === 0 ? answer(429, 'text/plain', 'slow down', `retry-after: ${seconds}`) : published(post),
      ),
    )
    const run = runSender(laneRoute(port, ca), testEvents(1), {}, { ...clock, random: () => 0 })
    expect(await run.ended).toBeUndefined()
    expect(clock.pausesMs).toEqual([pauseMs])
  })

  test('a run without patience ends with the first failure, and reports nothing before', async () => {
    const { port } = await serve(answering(() => answer(503, 'text/plain', 'busy')))
    const run = runSender(laneRoute(port, ca), testEvents(5), { retryForMs: 0 })
    expect(await run.ended).toBeInstanceOf(ServiceFailedError)
    expect(run.troubles).toEqual([])
  })

  test('a connection that was opened and never needed starts no trouble when the server closes it', async () => {
    let [connections, unused, hasFailed] = [0, 0, false]
    const used = new Set<ServedConnection>()
    const context = createSecureContext(certificate)
    server = await startLaneServer(
      certificate,
      (posts, connection) => {
        used.add(connection)
        for (const post of posts) {
          const fails = receivedId(post) === idOf(2) && !hasFailed
          if (fails) hasFailed = true
          connection.socket.write(fails ? answer(503, 'text/html', page('503 Busy')) : published(post))
        }
      },
      {
        // The second connection opens late: the first one has sent both events by then.
        SNICallback: (_, done) => {
          setTimeout(done, connections++ === 1 ? 1000 : 0, null, context)
        },
        onConnection: (connection) =>
          setTimeout(() => {
            if (used.has(connection)) return
            unused++
            connection.socket.end()
          }, 200),
      },
    )
    const all = testEvents(3)
    const arrived: TestEvent[] = all.slice(0, 2)
    const input = { isOpen: true }
    const events = (function* () {
      while (input.isOpen || arrived.length > 0) yield arrived.shift()
    })()
    // Its limit of 150 s takes 1.5 s.
    const run = runSender(laneRoute(server.port, ca), events, { concurrency: 2, retryForMs: 150_000 })
    await expect.poll(() => unused, { timeout: 20_000 }).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 2000))
    arrived.push(...all.slice(2))
    input.isOpen = false
    run.sender.wake()
    expect(await run.ended).toBeUndefined()
    expect([run.outcomes.size, hasFailed]).toEqual([3, true])
    // It was the 503.
    expect(run.troubles).toMatchObject([{ code: 'ERR_SERVICE_FAILED' }])
  })

  test('after trouble that was reported, the owner learns once that events are accepted again', async () => {
    let count = 0
    const { port } = await serve(
      answering((post) => (count++ < 20 ? answer(503, 'text/plain', 'busy') : published(post))),
    )
    const run = runSender(laneRoute(port, ca), testEvents(100))
    expect(await run.ended).toBeUndefined()
    expect([run.troubles.length, run.recoveries()]).toEqual([1, 1])
  })

  test('no timer is longer than Node can wait', async () => {
    const { port } = await serve(answering((post) => published(post)))
    const pausesMs: number[] = []
    const run = runSender(
      laneRoute(port, ca),
      testEvents(2),
      { ratePerSecond: 1e-9 },
      {
        after: (milliseconds) => {
          pausesMs.push(milliseconds)
          return () => undefined
        },
      },
    )
    await expect.poll(() => pausesMs.length, { timeout: 20_000 }).toBeGreaterThan(0)
    run.sender.close()
    expect(Math.max(...pausesMs)).toBe(2 ** 31 - 1)
  })

  test('a rate that one connection can keep opens one connection', async () => {
    const { port, connections } = await serve(answering((post) => published(post)))
    const realTime = { monotonic: () => performance.now(), after: cancellable }
    const run = runSender(laneRoute(port, ca), testEvents(10), { ratePerSecond: 5, concurrency: 16 }, realTime)
    expect(await run.ended).toBeUndefined()
    expect(run.outcomes.size).toBe(10)
    // On a busy machine, an answer may take longer than the 200 ms until the next request.
    expect(connections()).toBeLessThanOrEqual(2)
  })

  test('a rate that one connection cannot keep opens more of them', async () => {
    const { port, connections } = await serve((posts, { socket }) => {
      for (const post of posts) setTimeout(() => socket.write(published(post)), 200)
    })
    const realTime = { monotonic: () => performance.now(), after: cancellable }
    const run = runSender(laneRoute(port, ca), testEvents(60), { ratePerSecond: 60, concurrency: 16 }, realTime)
    expect(await run.ended).toBeUndefined()
    expect(run.outcomes.size).toBe(60)
    expect(connections()).toBeGreaterThan(1)
  })

  test('connections that fail together are one failure: the next try is soon', async () => {
    const { port } = await serve(answering((post) => published(post)))
    let left = 3000
    const stopping = server
    const events = (function* () {
      for (const event of testEvents(3000)) {
        if (--left === 500) void stopping?.stop()
        yield event
      }
    })()
    const clock = quickClock()
    const run = runSender(
      laneRoute(port, ca),
      events,
      { concurrency: 16, retryForMs: 10_000 },
      { ...clock, random: () => 1 },
    )
    expect(await run.ended).toBeInstanceOf(NetworkError)
    // After 0.4, 0.8, 1.6, 3.2 and 6.4 s. Were they sixteen failures, the first pause would be one of 30 s.
    expect(clock.pausesMs.filter((pauseMs) => pauseMs > 300).length).toBeGreaterThanOrEqual(5)
    expect(Math.max(...clock.pausesMs)).toBeLessThanOrEqual(6400)
    server = undefined
  })

  test('trouble that comes and goes is reported at most every 30 s', async () => {
    let count = 0
    const { port } = await serve(
      answering((post) => (++count % 3 === 0 ? answer(503, 'text/plain', 'busy') : published(post))),
    )
    const started = performance.now()
    const run = runSender(laneRoute(port, ca), testEvents(1000), { concurrency: 1 })
    expect(await run.ended).toBeUndefined()
    // The time of this run is a hundred times as fast.
    expect(run.troubles.length).toBeLessThanOrEqual(1 + ((performance.now() - started) * 100) / 30_000)
    expect(run.troubles.length).toBeGreaterThan(0)
    expect(run.recoveries()).toBeLessThanOrEqual(run.troubles.length)
  })

  test.each([
    ['that are all there', 300],
    ['that arrive one by one', 1],
  ])('the rate is kept with events %s', async (_, together) => {
    const times: number[] = []
    const { port } = await serve(
      answering((post) => {
        times.push(performance.now())
        return published(post)
      }),
    )
    const perSecond = 200
    const events = testEvents(300).flatMap((event, index) =>
      (index + 1) % together === 0 ? [event, undefined] : [event],
    )
    const realTime = { monotonic: () => performance.now(), after: cancellable }
    const run = runSender(laneRoute(port, ca), events, { ratePerSecond: perSecond }, realTime)
    const waking = setInterval(() => {
      run.sender.wake()
    }, 1)
    expect(await run.ended).toBeUndefined()
    clearInterval(waking)
    expect(times).toHaveLength(300)
    const [first = 0, last = 0] = [times[0], times.at(-1)]
    // Up to 20 ms may be made up for.
    expect(last - first).toBeGreaterThan((299 * 1000) / perSecond - 20 - 50)
  })

  test('Ctrl-C ends a pause at once', async () => {
    const controller = new AbortController()
    const port = await closedPort()
    const reason = new InterruptedError('interrupted')
    const run = runSender(
      laneRoute(port, ca),
      testEvents(3),
      {},
      {
        signal: controller.signal,
        random: () => 1,
        monotonic: () => performance.now(),
        // A pause that does not end.
        after: () => {
          setTimeout(() => {
            controller.abort(reason)
          }, 10)
          return () => undefined
        },
      },
    )
    expect(await run.ended).toBe(reason)
  })
})

test('each new connection takes the certificate as it is then', async () => {
  const subjects: string[] = []
  server = await startLaneServer(
    certificate,
    (posts, { socket }) => {
      for (const post of posts) {
        if (post.index === 9) {
          socket.end(published(post, 'connection: close'))
          return
        }
        socket.write(published(post))
      }
    },
    {
      requestCert: true,
      ca,
      onConnection: ({ socket }) => subjects.push(String(socket.getPeerCertificate().subject.CN)),
    },
  )
  const certificates = await Promise.all(
    ['old', 'renewed'].map((name) => makeClientCertificate(folder.path, authority, name)),
  )
  let taken = 0
  const events = (function* () {
    for (const event of testEvents(200)) {
      taken++
      yield event
    }
  })()
  const { port } = server
  const run = runSender(
    () => laneRoute(port, ca, { clientCertificate: certificates[taken < 100 ? 0 : 1] ?? null }),
    events,
    { concurrency: 1 },
  )
  expect(await run.ended).toBeUndefined()
  expect(run.outcomes.size).toBe(200)
  expect(run.counts()).toEqual({ retried: 0, maybeTwice: 0 })
  expect(new Set(subjects)).toEqual(new Set(['old', 'renewed']))
  expect(subjects.lastIndexOf('old')).toBeLessThan(subjects.indexOf('renewed'))
})

describe('while connections stay open', () => {
  /** Two certificates, and a server that notes by which one each event was sent. */
  async function serveTwo(script: (post: ReceivedPost, subject: string) => string): Promise<{
    readonly routes: Record<'old' | 'renewed', Route>
    /** Of each event that arrived, in order. */
    readonly subjects: string[]
  }> {
    const subjects: string[] = []
    server = await startLaneServer(
      certificate,
      (posts, { socket }) => {
        const subject = String(socket.getPeerCertificate().subject.CN)
        for (const post of posts) {
          subjects.push(subject)
          setTimeout(() => socket.write(script(post, subject)), 5)
        }
      },
      { requestCert: true, ca },
    )
    const { port } = server
    const [old, renewed] = await Promise.all(
      ['old', 'renewed'].map(async (name) =>
        laneRoute(port, ca, { clientCertificate: await makeClientCertificate(folder.path, authority, name) }),
      ),
    )
    if (old === undefined || renewed === undefined) throw new Error('two certificates were made')
    return { routes: { old, renewed }, subjects }
  }

  const routeOf = (route: Route): Promise<EventRoute> => Promise.resolve({ route, url: eventsUrl })

  test('the route is asked for every 10 s, and connections with another one end without an answer lost', async () => {
    const { routes, subjects } = await serveTwo((post) => published(post))
    let current = routes.old
    let asked = 0
    let check = (): void => undefined
    const everyMs: number[] = []
    let isEnded = false
    const run = runSender(
      () => {
        asked++
        return current
      },
      testEvents(3000),
      {},
      {
        every: (milliseconds, work) => {
          everyMs.push(milliseconds)
          check = work
          return () => (isEnded = true)
        },
      },
    )
    await expect.poll(() => subjects.length, { timeout: 20_000 }).toBeGreaterThan(200)
    check()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([asked, subjects.includes('renewed')]).toEqual([5, false])
    current = routes.renewed
    check()
    expect(await run.ended).toBeUndefined()
    expect([everyMs, isEnded]).toEqual([[10_000], true])
    expect(run.outcomes.size).toBe(3000)
    expect(subjects).toHaveLength(3000)
    // At most what was under way with the old certificate arrives after the first event with the new one.
    expect(subjects.lastIndexOf('old') - subjects.indexOf('renewed')).toBeLessThan(4 * 16)
    expect(subjects.filter((subject) => subject === 'renewed').length).toBeGreaterThan(1000)
    expect(run.counts()).toEqual({ retried: 0, maybeTwice: 0 })
    expect(run.troubles).toEqual([])
  })

  test('a check that fails leaves the open connections in use', async () => {
    const { routes, subjects } = await serveTwo((post) => published(post))
    let check = (): void => undefined
    let opened = 0
    const run = runSender(
      routes.old,
      testEvents(1000),
      { concurrency: 2 },
      {
        route: () => (opened++ < 2 ? routeOf(routes.old) : Promise.reject(new CertificateExpiredError('expired'))),
        every: (_, work) => {
          check = work
          return () => undefined
        },
      },
    )
    await expect.poll(() => subjects.length, { timeout: 20_000 }).toBeGreaterThan(100)
    check()
    expect(await run.ended).toBeUndefined()
    expect([run.outcomes.size, opened]).toEqual([1000, 3])
  })

  test('a refusal of the certificate ends the run only if there is no newer one', async () => {
    let arrived = 0
    const { routes, subjects } = await serveTwo((post, subject) =>
      ++arrived > 300 && subject === 'old' ? certificatePage() : published(post),
    )
    let looked = 0
    const run = runSender(
      routes.old,
      testEvents(2000),
      { concurrency: 4 },
      {
        route: () => routeOf(looked === 0 ? routes.old : routes.renewed),
        renewedRoute: async () => {
          // What is answered meanwhile must not be sent again and again on the old connections.
          await new Promise((resolve) => setTimeout(resolve, 300))
          looked++
          return routeOf(routes.renewed)
        },
      },
    )
    expect(await run.ended).toBeUndefined()
    expect(looked).toBe(1)
    expect(run.outcomes.size).toBe(2000)
    expect(run.counts()).toEqual({ retried: 0, maybeTwice: 0 })
    expect(run.troubles).toEqual([])
    // Each of the refused events was sent once more.
    expect(subjects.length).toBeLessThanOrEqual(2000 + 5 * 16)
  })

  test.each([
    ['the same certificate', (old: Route) => routeOf(old), ClientCertificateRefusedError],
    [
      'no usable certificate',
      () => Promise.reject(new CertificateExpiredError('the certificate expired')),
      CertificateExpiredError,
    ],
  ])('a refusal ends the run when the store has %s', async (_, renewedRoute, error) => {
    const { routes } = await serveTwo(certificatePage)
    let looked = 0
    const run = runSender(
      routes.old,
      testEvents(100),
      {},
      {
        renewedRoute: () => {
          looked++
          return renewedRoute(routes.old)
        },
      },
    )
    expect(await run.ended).toBeInstanceOf(error)
    expect([looked, run.troubles, run.counts()]).toEqual([1, [], { retried: 0, maybeTwice: 0 }])
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a refusal by an alert of %s is reported only as the end of the run, and not if there is a newer certificate',
    async (version) => {
      const refusing = await startRefusingServer(certificate, version)
      const { routes, subjects } = await serveTwo((post) => published(post))
      const refused = { ...routes.old, nodePort: refusing.port }
      const ending = runSender(refused, testEvents(20))
      expect(await ending.ended).toBeInstanceOf(ClientCertificateRefusedError)
      expect([ending.troubles, ending.counts()]).toEqual([[], { retried: 0, maybeTwice: 0 }])
      let isRenewed = false
      const run = runSender(
        () => (isRenewed ? routes.renewed : refused),
        testEvents(20),
        {},
        {
          renewedRoute: () => {
            isRenewed = true
            return routeOf(routes.renewed)
          },
        },
      )
      expect(await run.ended).toBeUndefined()
      expect([run.outcomes.size, subjects.length, run.troubles]).toEqual([20, 20, []])
      await refusing.stop()
    },
  )
})

test('draining takes no more events, and counts the answers to those under way', async () => {
  let isDraining = false
  const { port, received } = await serve((posts, { socket }) => {
    for (const post of posts) {
      setTimeout(
        () => {
          socket.write(published(post))
        },
        isDraining ? 50 : 1,
      )
    }
  })
  const run = runSender(
    laneRoute(port, ca),
    testEvents(100_000),
    {},
    { monotonic: () => performance.now(), after: cancellable },
  )
  await expect.poll(() => run.outcomes.size, { timeout: 20_000 }).toBeGreaterThan(200)
  isDraining = true
  await run.sender.drain(20_000)
  expect(run.outcomes.size).toBe(received.length)
  expect(run.outcomes.size).toBeLessThan(100_000)
})

test('an event that is refused on a resumed TLS session is sent on a new one', async () => {
  const resumed: boolean[] = []
  server = await startLaneServer(
    certificate,
    (posts, { socket }) => {
      for (const post of posts) {
        // As a server that loses the client certificate with the session.
        if (socket.isSessionReused())
          socket.write(
            answer(
              400,
              'text/html',
              '<html><head><title>400 No required SSL certificate was sent</title></head></html>',
            ),
          )
        else socket.write(published(post, ...(post.index === 9 ? ['connection: close'] : [])))
      }
    },
    { onConnection: ({ socket }) => resumed.push(socket.isSessionReused()) },
  )
  const route = laneRoute(server.port, ca)
  const run = runSender(() => route, testEvents(100), { concurrency: 1 })
  expect(await run.ended).toBeUndefined()
  expect(run.outcomes.size).toBe(100)
  expect(resumed).toContain(true)
})
