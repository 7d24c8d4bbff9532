import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  AnswerMalformedError,
  ClientCertificateRefusedError,
  InterruptedError,
  NetworkError,
  ServerCertificateError,
  TimeoutError,
} from '../../../src/errors.js'
import { Pipelining } from '../../../src/transport/lane/pipelining.js'
import type { Route } from '../../../src/transport/route.js'
import {
  makeAuthority,
  makeServerCertificate,
  openssl,
  type ServerCertificate,
  temporaryFolder,
} from '../../support/certificates.js'
import { laneRoute, runLane, tokensBy, wronglyAnswered } from '../../support/lane-runs.js'
import {
  echo,
  type LaneServer,
  type Script,
  type ServedConnection,
  startLaneServer,
} from '../../support/lane-server.js'
import { startRefusingServer } from '../../support/refusing-server.js'
import { startTinyproxy } from '../../support/tinyproxy.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let certificate: ServerCertificate
let ca = ''
let authorityFile = ''
let server: LaneServer | undefined

/** A key and its own certificate for the App shop, in one PEM text. */
function selfSigned(): Promise<string> {
  return openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', '-', '-subj', '/CN=shop', '-batch')
}

beforeAll(async () => {
  folder = await temporaryFolder('lane')
  const authority = await makeAuthority(folder.path, 'ca', 'ec')
  authorityFile = authority.certificateFile
  ca = await readFile(authorityFile, 'utf8')
  certificate = await makeServerCertificate(folder.path, authority, ['gateway.kyma.local'])
})
afterAll(() => folder.remove())
afterEach(async () => {
  await server?.stop()
  server = undefined
})

async function serve(script: Script, more: Partial<Route> = {}): Promise<Route> {
  server = await startLaneServer(certificate, script)
  return laneRoute(server.port, ca, more)
}

const echoAll: Script = (posts, { socket }) => {
  socket.write(posts.map((post) => echo(post)).join(''))
}

function events(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `{"number":${index}}`)
}

describe('a lane', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'resumes the %s session of an earlier lane of its route, and of no other route',
    async (maxVersion) => {
      server = await startLaneServer(certificate, echoAll, { maxVersion })
      const route = laneRoute(server.port, ca)
      const isResumed = async (on: Route): Promise<boolean> => {
        const run = runLane(on, events(3))
        expect(await run.ended).toBeUndefined()
        expect(tokensBy(run.results).answered).toEqual(events(3))
        return run.lane.isResumed
      }
      expect(await isResumed(route)).toBe(false)
      expect(await isResumed(route)).toBe(true)
      expect(await isResumed(route)).toBe(true)
      expect(await isResumed({ ...route })).toBe(false)
      const closing = runLane(route, events(1), { close: false })
      await vi.waitFor(() => {
        expect(closing.results).toHaveLength(1)
      })
      closing.lane.forgetSession()
      closing.lane.close()
      expect(await isResumed(route)).toBe(false)
    },
  )

  test.each([
    ['eight together, where answers come fast', 0, 8],
    ['one for each answer, where answers come slowly', 20, 1],
  ])('sends %s, once the window is full', async (_, msPerLook, fewest) => {
    const batches: number[] = []
    const waiting: string[] = []
    const route = await serve((posts, { socket }) => {
      batches.push(posts.length)
      if (waiting.length === 0) {
        const answering = setInterval(() => {
          socket.write(waiting.shift() ?? '')
          if (waiting.length === 0) clearInterval(answering)
        }, 2)
      }
      waiting.push(...posts.map((post) => echo(post)))
    })
    let nowMs = 0
    const run = runLane(route, events(120), { monotonic: () => (nowMs += msPerLook) })
    expect(await run.ended).toBeUndefined()
    expect(wronglyAnswered(run.results)).toEqual([])
    expect(batches.slice(0, 5)).toEqual([1, 2, 4, 8, 16])
    expect(Math.min(...batches.slice(5, -1))).toBe(fewest)
  })

  test('sends through the tunnel of a proxy', async () => {
    const proxy = await startTinyproxy()
    const route = await serve(echoAll, { proxy: { url: new URL(proxy.url), except: [] } })
    const run = runLane(route, events(100))
    expect(await run.ended).toBeUndefined()
    expect(wronglyAnswered(run.results)).toEqual([])
    expect(tokensBy(run.results).answered).toEqual(events(100))
    await proxy.stop()
  })

  test('sends a POST of JSON, and gives its answer', async () => {
    let head = ''
    const route = await serve((posts, connection) => {
      head = posts[0]?.head ?? ''
      echoAll(posts, connection)
    })
    const run = runLane(route, ['{"größe":1}'])
    expect(await run.ended).toBeUndefined()
    expect(head.split('\r\n')).toEqual([
      'POST /shop/v1/events HTTP/1.1',
      `host: gateway.kyma.local:${route.nodePort ?? 0}`,
      'user-agent: kyconnect',
      'content-type: application/json',
      'content-length: 13',
    ])
    expect(run.results).toEqual([
      {
        token: '{"größe":1}',
        result: {
          kind: 'answered',
          status: 200,
          contentType: 'application/json',
          body: Buffer.from('{"größe":1}'),
          retryAfterMs: undefined,
        },
      },
    ])
  })

  test('answers every one of 2,000 requests with its own answer, at most 16 of them unanswered at once', async () => {
    const run = runLane(await serve(echoAll), events(2000))
    expect(await run.ended).toBeUndefined()
    expect(tokensBy(run.results).answered).toEqual(events(2000))
    expect(wronglyAnswered(run.results)).toEqual([])
    expect(run.maxPending()).toBe(16)
  })

  test('sends bodies of 64 KiB, sixteen at once', async () => {
    const bodies = Array.from({ length: 100 }, (_, index) => `"${String(index).padStart(65_534, 'x')}"`)
    const run = runLane(
      await serve((posts, { socket }) => {
        for (const post of posts) socket.write(echo({ ...post, body: post.body.slice(-9) }))
      }),
      bodies,
    )
    expect(await run.ended).toBeUndefined()
    expect(
      run.results.map(({ token, result }) => result.kind === 'answered' && token.endsWith(result.body.toString())),
    ).toEqual(bodies.map(() => true))
  })

  test('sends 1, 2, 4, 8 and 16 requests together, each round after all answers to the one before', async () => {
    const rounds: number[] = []
    let open = 0
    let isOverlapping = false
    const run = runLane(
      await serve((posts, { socket }) => {
        if (open > 0) isOverlapping = true
        rounds.push(posts.length)
        open += posts.length
        for (const post of posts) {
          setTimeout(() => {
            open--
            socket.write(echo(post))
          }, 5)
        }
      }),
      events(31),
    )
    await run.ended
    expect(rounds).toEqual([1, 2, 4, 8, 16])
    expect(isOverlapping).toBe(false)
  })

  test('sends more together only after a round that was full', async () => {
    const run = runLane(await serve(echoAll), [], { close: false })
    const capacities: number[] = []
    for (const body of events(6)) {
      await vi.waitFor(() => {
        expect(run.lane.pending).toBe(0)
        expect(run.lane.capacity).toBeGreaterThan(0)
      }, 10_000)
      capacities.push(run.lane.capacity)
      run.lane.send(Buffer.from(body), body)
    }
    // One at a time fills the first round only.
    expect(capacities).toEqual([1, 2, 2, 2, 2, 2])
    run.lane.close()
  })

  test('takes no request before it is connected, none beyond its capacity, and none after its end', async () => {
    const run = runLane(await serve(echoAll), [], { close: false })
    const [first = '', second = ''] = events(2)
    const send = (): void => {
      run.lane.send(Buffer.from(second), second)
    }
    expect(run.lane.capacity).toBe(0)
    expect(send).toThrow('cannot take a request')
    await vi.waitFor(() => {
      expect(run.lane.capacity).toBe(1)
    }, 10_000)
    run.lane.send(Buffer.from(first), first)
    expect(run.lane.capacity).toBe(0)
    expect(send).toThrow('cannot take a request')
    run.lane.close()
    expect(send).toThrow('cannot take a request')
    expect(await run.ended).toBeUndefined()
  })

  test('presents the client certificate', async () => {
    const pair = await selfSigned()
    let subject: unknown
    const script: Script = (posts, connection) => {
      subject = connection.socket.getPeerCertificate().subject
      echoAll(posts, connection)
    }
    server = await startLaneServer(certificate, script, { requestCert: true, rejectUnauthorized: false })
    const run = runLane(laneRoute(server.port, ca, { clientCertificate: { chain: pair, key: pair } }), events(1))
    await run.ended
    expect(subject).toMatchObject({ CN: 'shop' })
  })

  test('tries the given CA first and then every root, and on the next connections of the route only what succeeded', async () => {
    const other = await makeAuthority(folder.path, 'first', 'ec')
    const plain = await serve(echoAll)
    const trust = { ca: await readFile(other.certificateFile, 'utf8'), caOnly: false, rootFiles: [authorityFile] }
    const route = { ...plain, trust: { ...plain.trust, ...trust } }
    const connections: number[] = []
    for (let i = 0; i < 3; i++) {
      expect(await runLane(route, events(1)).ended).toBeUndefined()
      connections.push(server?.connections() ?? 0)
    }
    expect(connections).toEqual([2, 3, 4])
  })

  test.each([
    ['17', 17_000],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
  ])('gives the time of a Retry-After: %s', async (value, retryAfterMs) => {
    const run = runLane(
      await serve(([post], { socket }) => {
        if (post !== undefined) socket.write(echo(post, `Retry-After: ${value}`))
      }),
      events(1),
    )
    expect(await run.ended).toBeUndefined()
    expect(run.results[0]?.result).toMatchObject({ kind: 'answered', retryAfterMs })
  })

  test('that is retired takes no more requests, and ends without an error once those that are pending are answered', async () => {
    let answerNow = (): void => undefined
    const run = runLane(
      await serve((posts, connection) => {
        answerNow = () => {
          echoAll(posts, connection)
        }
        if (posts.length === 1) answerNow()
      }),
      events(3),
      { close: false },
    )
    await vi.waitFor(() => {
      expect(server?.received).toHaveLength(3)
    }, 10_000)
    run.lane.retire()
    expect([run.lane.capacity, run.lane.pending]).toEqual([0, 2])
    answerNow()
    expect(await run.ended).toBeUndefined()
    expect(tokensBy(run.results).answered).toEqual(events(3))
  })

  test('that is retired while nothing is pending ends, and does not call its owner before `retire` returns', async () => {
    const run = runLane(await serve(echoAll), [], { close: false })
    await vi.waitFor(() => {
      expect(run.lane.capacity).toBe(1)
    }, 10_000)
    let hasEnded = false
    void run.ended.then(() => (hasEnded = true))
    run.lane.retire()
    await Promise.resolve()
    expect([run.lane.capacity, hasEnded]).toEqual([0, false])
    expect(await run.ended).toBeUndefined()
  })

  test('knows whether it has ever sent a request before the one before was answered', async () => {
    const alone = runLane(await serve(echoAll), events(1))
    await alone.ended
    expect(alone.lane.hasPipelined).toBe(false)
    const together = runLane(laneRoute(server?.port ?? 0, ca), events(3))
    await together.ended
    expect(together.lane.hasPipelined).toBe(true)
  })

  test('traces its connection', async () => {
    const lines: string[] = []
    const route = await serve(echoAll)
    await runLane(route, events(1), { trace: (line) => lines.push(line) }).ended
    expect(lines).toEqual([`* connected to 127.0.0.1:${route.nodePort ?? 0}, TLSv1.3`])
  })
})

describe('what becomes of requests that are not answered', () => {
  /** Answers until a round of eight arrives; that is answered by the test. */
  const eight =
    (answer: Script): Script =>
    (posts, connection) => {
      if (posts.length < 8) echoAll(posts, connection)
      else answer(posts, connection)
    }
  const [answered, rest] = [events(10), events(15).slice(10)]

  test('they are not processed after an answer that announced the end, and there is no error', async () => {
    const run = runLane(
      await serve(
        eight((posts, { socket }) => {
          socket.end(
            posts
              .map((post, index) => echo(post, ...(index === 2 ? ['Connection: close'] : [])))
              .slice(0, 3)
              .join(''),
          )
        }),
      ),
      events(15),
    )
    expect(await run.ended).toBeUndefined()
    expect(tokensBy(run.results)).toEqual({ answered, unsent: [], 'not-processed': rest, 'maybe-processed': [] })
    expect(run.lane.capacity).toBe(0)
  })

  test.each<[string, (connection: ServedConnection) => void]>([
    ['the end of the connection', ({ socket }) => socket.end()],
    [
      'a reset',
      ({ reset }) => {
        setTimeout(reset, 50)
      },
    ],
  ])('they may be processed after %s', async (_, end) => {
    const run = runLane(
      await serve(
        eight((posts, connection) => {
          connection.socket.write(
            posts
              .slice(0, 3)
              .map((post) => echo(post))
              .join(''),
          )
          end(connection)
        }),
      ),
      events(15),
    )
    const error = await run.ended
    expect(error).toBeInstanceOf(NetworkError)
    expect(error).toMatchObject({ reason: 'ECONNRESET', requestSent: true, target: { host: 'gateway.kyma.local' } })
    expect(tokensBy(run.results)).toEqual({ answered, unsent: [], 'not-processed': [], 'maybe-processed': rest })
    expect(run.results.at(-1)?.result).toMatchObject({ error })
  })

  test('they are unsent if the lane ends in the turn of the event loop in which they were taken', async () => {
    const run = runLane(await serve(echoAll), [], { close: false })
    await vi.waitFor(() => {
      expect(run.lane.capacity).toBe(1)
    }, 10_000)
    run.lane.send(Buffer.from('{}'), 'last')
    run.lane.close()
    expect(tokensBy(run.results)).toEqual({
      answered: [],
      unsent: ['last'],
      'not-processed': [],
      'maybe-processed': [],
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(server?.received).toEqual([])
  })

  test('they may be processed after the time limit, which is for each answer since the one before', async () => {
    const run = runLane(
      await serve(
        (posts, { socket }) => {
          if (posts.length < 4) for (const post of posts) socket.write(echo(post))
          else
            for (const [index, post] of posts.slice(0, 3).entries())
              setTimeout(() => socket.write(echo(post)), 700 * (index + 1))
        },
        { timeoutMs: 2000 },
      ),
      events(7),
    )
    const error = await run.ended
    expect(error).toBeInstanceOf(TimeoutError)
    expect(error).toMatchObject({ details: { phase: 'waiting for the answer' }, requestSent: true })
    expect(tokensBy(run.results)).toEqual({
      answered: events(6),
      unsent: [],
      'not-processed': [],
      'maybe-processed': events(7).slice(6),
    })
  })

  test('an answer that arrives byte by byte does not extend the time limit', async () => {
    const run = runLane(
      await serve(
        (_, { socket }) => {
          socket.write('HTTP/1.1 200 OK\r\nx: ')
          const timer = setInterval(() => socket.write('y'), 50)
          socket.on('close', () => {
            clearInterval(timer)
          })
        },
        { timeoutMs: 1000 },
      ),
      events(1),
    )
    expect(await run.ended).toMatchObject({ code: 'ERR_TIMEOUT', details: { phase: 'reading the answer' } })
    expect(tokensBy(run.results)['maybe-processed']).toEqual(events(1))
  })

  test('they may be processed after the signal, whose reason is the error', async () => {
    const controller = new AbortController()
    const reason = new InterruptedError('interrupted')
    const run = runLane(
      await serve(() => {
        controller.abort(reason)
      }),
      events(1),
      { signal: controller.signal },
    )
    expect(await run.ended).toBe(reason)
    expect(tokensBy(run.results)['maybe-processed']).toEqual(events(1))
  })

  test('they may be processed after something that is not HTTP', async () => {
    const run = runLane(
      await serve((_, { socket }) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n{}')
      }),
      events(1),
    )
    expect(await run.ended).toMatchObject({
      message: `the answer from gateway.kyma.local:${server?.port ?? 0} is not valid HTTP: neither a Content-Length nor a transfer encoding`,
      reason: 'NOT_HTTP',
    })
    expect(tokensBy(run.results)['maybe-processed']).toEqual(events(1))
  })

  test('a server that reads nothing is given up after the time limit', async () => {
    server = await startLaneServer(certificate, echoAll, { onConnection: ({ socket }) => socket.pause() })
    const run = runLane(laneRoute(server.port, ca, { timeoutMs: 500 }), [`"${'x'.repeat(60_000)}"`])
    expect(await run.ended).toBeInstanceOf(TimeoutError)
  })
})

describe('an answer without a request ends the lane', () => {
  const stray = 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n'
  test.each([
    ['complete', stray],
    ['in part', stray.slice(0, 20)],
    ['as an interim answer', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ])('%s, together with an answer: no request gets it', async (_, bytes) => {
    const run = runLane(
      await serve(([post], { socket }) => {
        if (post !== undefined) socket.write(echo(post) + bytes)
      }),
      events(5),
    )
    expect(await run.ended).toBeInstanceOf(AnswerMalformedError)
    expect(tokensBy(run.results).answered).toEqual(events(1))
    expect(wronglyAnswered(run.results)).toEqual([])
    expect(server?.received).toEqual(events(1))
  })

  test('in part, before the first request', async () => {
    server = await startLaneServer(certificate, echoAll, {
      onConnection: ({ socket }) => socket.write(stray.slice(0, 20)),
    })
    const run = runLane(laneRoute(server.port, ca), [], { close: false })
    expect(await run.ended).toBeInstanceOf(AnswerMalformedError)
  })
})

describe('a connection that ends while nothing is pending', () => {
  test('ends because of the server alone, not of the time limit', async () => {
    const run = runLane(await serve(echoAll, { timeoutMs: 500 }), events(1), { close: false })
    await vi.waitFor(() => {
      expect(run.results).toHaveLength(1)
    }, 10_000)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(run.lane.capacity).toBeGreaterThan(0)
    run.lane.close()
  })

  test('ends the lane without an error, if it has answered before', async () => {
    const run = runLane(
      await serve((posts, connection) => {
        echoAll(posts, connection)
        setTimeout(() => connection.socket.end(), 50)
      }),
      events(1),
      { close: false },
    )
    expect(await run.ended).toBeUndefined()
    expect(tokensBy(run.results).answered).toEqual(events(1))
  })

  test('ends the lane without an error, if it was never used', async () => {
    server = await startLaneServer(certificate, echoAll, {
      onConnection: ({ socket }) => setTimeout(() => socket.end(), 50),
    })
    const run = runLane(laneRoute(server.port, ca), [], { close: false })
    expect(await run.ended).toBeUndefined()
  })
})

describe('a connection that cannot be used ends the lane with the error that names why', () => {
  test('nothing listens', async () => {
    const route = await serve(echoAll)
    await server?.stop()
    expect(await runLane(route, events(1)).ended).toMatchObject({
      code: 'ERR_NETWORK',
      reason: 'ECONNREFUSED',
      requestSent: false,
    })
  })

  test('the server says nothing', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const run = runLane(laneRoute((silent.address() as AddressInfo).port, ca, { timeoutMs: 300 }), events(1))
    expect(await run.ended).toMatchObject({ code: 'ERR_TIMEOUT', requestSent: false, details: { phase: 'connecting' } })
    silent.close()
  })

  test('the lane is closed, or the signal aborted, before', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const route = laneRoute((silent.address() as AddressInfo).port, ca)
    const closed = runLane(route, events(1))
    closed.lane.close()
    expect(await closed.ended).toBeUndefined()
    const reason = new InterruptedError('interrupted')
    expect(await runLane(route, events(1), { signal: AbortSignal.abort(reason) }).ended).toBe(reason)
    await new Promise((resolve) => silent.close(resolve))
  })

  test("the server's certificate is from an unknown CA", async () => {
    const other = await makeAuthority(folder.path, 'other', 'ec')
    const { nodePort } = await serve(echoAll)
    const run = runLane(laneRoute(nodePort ?? 0, await readFile(other.certificateFile, 'utf8')), events(1))
    expect(await run.ended).toBeInstanceOf(ServerCertificateError)
    expect(server?.received).toEqual([])
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('the client certificate is refused by an alert of %s', async (version) => {
    const pair = await selfSigned()
    const refusing = await startRefusingServer(certificate, version)
    const run = runLane(laneRoute(refusing.port, ca, { clientCertificate: { chain: pair, key: pair } }), events(1))
    expect(await run.ended).toBeInstanceOf(ClientCertificateRefusedError)
    await refusing.stop()
  })
})

describe('pipelining', () => {
  test('is not given up because connections end that have shown that they serve it', async () => {
    let timesGivenUp = 0
    const pipelining = new Pipelining(() => timesGivenUp++)
    const route = await serve((posts, connection) => {
      const [first] = posts
      if (first === undefined || first.index < 100) echoAll(posts, connection)
      else connection.socket.end(echo(first))
    })
    for (let i = 0; i < 3; i++) {
      const run = runLane(route, events(500), { pipelining })
      expect(await run.ended).toBeInstanceOf(NetworkError)
      expect(tokensBy(run.results)['maybe-processed'].length).toBeGreaterThan(0)
    }
    expect([timesGivenUp, pipelining.window]).toEqual([0, 16])
  })

  test('is given up for all lanes, and those that are open, after it was dropped twice', async () => {
    let timesGivenUp = 0
    const pipelining = new Pipelining(() => timesGivenUp++)
    const dropping = await serve((posts, { socket }) => {
      const [post] = posts
      if (post === undefined) return
      if (posts.length === 1) socket.write(echo(post))
      else socket.end(echo(post))
    })
    const one = runLane(dropping, events(10), { pipelining })
    expect(await one.ended).toBeInstanceOf(NetworkError)
    expect(tokensBy(one.results)).toMatchObject({ answered: events(2), 'maybe-processed': ['{"number":2}'] })
    const open = runLane(dropping, events(1), { pipelining, close: false })
    await vi.waitFor(() => {
      expect(open.lane.capacity).toBe(2)
    }, 10_000)
    expect(timesGivenUp).toBe(0)
    await runLane(dropping, events(10), { pipelining }).ended
    expect(timesGivenUp).toBe(1)
    expect(open.lane.capacity).toBe(1)
    open.lane.close()
    const later = runLane(dropping, events(100), { pipelining })
    expect(await later.ended).toBeUndefined()
    expect(tokensBy(later.results).answered).toEqual(events(100))
    expect(later.maxPending()).toBe(1)
  })

  /** A server that answers single requests, and ends the connection when it has read several together. */
  const dropTogether: Script = (posts, connection) => {
    if (posts.length === 1) echoAll(posts, connection)
    else connection.socket.end()
  }

  test('is not given up because connections that are open at the same time end together', async () => {
    let timesGivenUp = 0
    const pipelining = new Pipelining(() => timesGivenUp++)
    const connections: ServedConnection[] = []
    const route = await serve((posts, connection) => {
      if (posts.length === 1) echoAll(posts, connection)
      else connections.push(connection)
    })
    const runs = events(4).map(() => runLane(route, events(3), { pipelining }))
    await vi.waitFor(() => {
      expect(connections).toHaveLength(4)
    }, 10_000)
    for (const { reset } of connections) reset()
    for (const run of runs) expect(await run.ended).toBeInstanceOf(NetworkError)
    expect([timesGivenUp, pipelining.window]).toEqual([0, 16])
  })

  test('is not given up because of drops before and after an outage', async () => {
    let timesGivenUp = 0
    const pipelining = new Pipelining(() => timesGivenUp++)
    for (let restart = 0; restart < 3; restart++) {
      const route = await serve(dropTogether)
      await runLane(route, events(3), { pipelining }).ended
      await server?.stop()
      expect(await runLane(route, events(3), { pipelining }).ended).toMatchObject({ reason: 'ECONNREFUSED' })
    }
    expect([timesGivenUp, pipelining.window]).toEqual([0, 16])
  })

  test('is not given up once a whole window of sixteen has been answered', async () => {
    let timesGivenUp = 0
    const pipelining = new Pipelining(() => timesGivenUp++)
    expect(await runLane(await serve(echoAll), events(31), { pipelining }).ended).toBeUndefined()
    await server?.stop()
    const dropping = await serve(dropTogether)
    for (let i = 0; i < 3; i++) await runLane(dropping, events(3), { pipelining }).ended
    expect([timesGivenUp, pipelining.window]).toEqual([0, 16])
  })
})
