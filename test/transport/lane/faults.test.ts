import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  makeAuthority,
  makeServerCertificate,
  type ServerCertificate,
  temporaryFolder,
} from '../../support/certificates.js'
import { laneRoute, publishAll } from '../../support/lane-runs.js'
import {
  echo,
  type LaneServer,
  type ReceivedPost,
  type Script,
  type ServedConnection,
  startLaneServer,
} from '../../support/lane-server.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let certificate: ServerCertificate
let ca = ''
let server: LaneServer | undefined

beforeAll(async () => {
  folder = await temporaryFolder('lane-faults')
  const authority = await makeAuthority(folder.path, 'ca', 'ec')
  ca = await readFile(authority.certificateFile, 'utf8')
  certificate = await makeServerCertificate(folder.path, authority, ['gateway.kyma.local'])
})
afterAll(() => folder.remove())
afterEach(async () => {
  await server?.stop()
  server = undefined
})

/** What a server does to one POST instead of answering it. What arrived after it, and what arrives later, is not answered either. */
interface Fault {
  readonly name: string
  readonly strike: (post: ReceivedPost, connection: ServedConnection) => void
}

const half = (text: string): string => text.slice(0, Math.floor(text.length / 2))

const faults: readonly Fault[] = [
  {
    name: 'a reset before the answer',
    strike: (_, { reset }) => {
      reset()
    },
  },
  {
    name: 'a reset in the answer',
    strike: (post, { socket, reset }) => {
      socket.write(half(echo(post)), reset)
    },
  },
  {
    name: 'a reset after the answer',
    strike: (post, { socket, reset }) => {
      socket.write(echo(post), reset)
    },
  },
  {
    name: 'an end before the answer',
    strike: (_, { socket }) => {
      socket.end()
    },
  },
  {
    name: 'an end in the answer',
    strike: (post, { socket }) => {
      socket.end(half(echo(post)))
    },
  },
  {
    name: 'an end after the answer',
    strike: (post, { socket }) => {
      socket.end(echo(post))
    },
  },
  {
    name: 'an announced end',
    strike: (post, { socket }) => {
      socket.end(echo(post, 'Connection: close'))
    },
  },
  {
    name: 'an announced end, and a connection that stays open',
    strike: (post, { socket }) => {
      socket.write(echo(post, 'Connection: close'))
    },
  },
  {
    name: 'an answer of HTTP/1.0',
    strike: (post, { socket }) => {
      socket.end(echo(post).replace('1.1', '1.0'))
    },
  },
  { name: 'silence', strike: () => undefined },
  {
    name: 'silence in the answer',
    strike: (post, { socket }) => {
      socket.write(half(echo(post)))
    },
  },
  {
    name: 'garbage',
    strike: (_, { socket }) => {
      socket.write(Buffer.alloc(300, 'garbage\r\n\r\n'))
    },
  },
  {
    name: 'garbage after the answer',
    strike: (post, { socket }) => {
      socket.write(`${echo(post)}garbage\r\n\r\n`)
    },
  },
  {
    name: 'an answer without a length',
    strike: (_, { socket }) => {
      socket.end('HTTP/1.1 200 OK\r\n\r\n{}')
    },
  },
]

/** Answers as long as there is no fault; strikes at every nth POST that arrives, `times` times. */
function faulty({ strike }: Fault, every: number, times: number): Script {
  let arrived = 0
  let struck = 0
  const ended = new Set<ServedConnection>()
  return (posts, connection) => {
    for (const post of posts) {
      if (ended.has(connection)) return
      if (++arrived % every === 0 && struck < times) {
        struck++
        ended.add(connection)
        strike(post, connection)
      } else connection.socket.write(echo(post))
    }
  }
}

function events(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `{"number":${index}}`)
}

describe('no event is lost, and none gets the answer of another', () => {
  describe.each([
    { where: 'on the first requests of a connection', every: 3 },
    { where: 'on a connection with a full window', every: 97 },
  ])('$where', ({ every }) => {
    test.each(faults)('after $name', async (fault) => {
      const bodies = events(600)
      server = await startLaneServer(certificate, faulty(fault, every, 5))
      const { received } = server
      const { answers, fates } = await publishAll(laneRoute(server.port, ca, { timeoutMs: 1500 }), bodies, 3)
      expect([...answers].filter(([body, given]) => given.length !== 1 || given[0] !== body)).toEqual([])
      expect(answers.size).toBe(bodies.length)

      // The server reads what it does not process: so it counts the POSTs of a body that it read, and no more of them were reported as sent.
      const times = new Map<string, number>()
      for (const body of received) times.set(body, (times.get(body) ?? 0) + 1)
      const sent = (body: string): number =>
        1 + (fates['maybe-processed'].get(body) ?? 0) + (fates['not-processed'].get(body) ?? 0)
      expect(bodies.filter((body) => (times.get(body) ?? 0) > sent(body))).toEqual([])
      if (!fault.name.startsWith('an announced end')) expect(fates['not-processed'].size).toBe(0)
      else expect(fates['maybe-processed'].size).toBe(0)
    })
  })

  test('by a server that answers the first of the requests that arrive together, and closes', async () => {
    const bodies = events(400)
    // One request that arrives alone keeps the connection.
    server = await startLaneServer(certificate, (posts, { socket }) => {
      const [post] = posts
      if (post === undefined || socket.writableEnded) return
      if (posts.length === 1) socket.write(echo(post))
      else socket.end(echo(post))
    })
    const { answers, timesGivenUp } = await publishAll(laneRoute(server.port, ca), bodies, 3)
    expect([...answers].filter(([body, given]) => given.length !== 1 || given[0] !== body)).toEqual([])
    expect(answers.size).toBe(bodies.length)
    expect(timesGivenUp).toBe(1)
    expect(server.connections()).toBeLessThan(12)
  })

  test('by a server that ignores all but the first of the requests that arrive together', async () => {
    const bodies = events(100)
    server = await startLaneServer(certificate, ([post], { socket }) => {
      if (post !== undefined) socket.write(echo(post))
    })
    const { answers, timesGivenUp } = await publishAll(laneRoute(server.port, ca, { timeoutMs: 1000 }), bodies, 2)
    expect([...answers].filter(([body, given]) => given.length !== 1 || given[0] !== body)).toEqual([])
    expect(answers.size).toBe(bodies.length)
    expect(timesGivenUp).toBe(1)
  })
})
