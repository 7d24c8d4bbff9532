import type { KyconnectError } from '../../src/errors.js'
import { type Fate, Lane, type LaneDeps, type LaneResult } from '../../src/transport/lane/lane.js'
import { Pipelining } from '../../src/transport/lane/pipelining.js'
import { noProxy } from '../../src/transport/proxy.js'
import type { Route } from '../../src/transport/route.js'

export function laneRoute(port: number, ca: string, more: Partial<Route> = {}): Route {
  return {
    nodePort: port,
    gatewayHost: 'gateway.kyma.local',
    clientCertificate: null,
    certificateHosts: ['gateway.kyma.local'],
    resolve: [{ host: 'gateway.kyma.local', port: null, address: '127.0.0.1' }],
    trust: { ca, caOnly: true, rootFiles: [], systemRootFiles: [], insecure: false },
    proxy: noProxy,
    timeoutMs: 20_000,
    connections: 1,
    ...more,
  }
}

export const eventsUrl = new URL('https://gateway.kyma.local/shop/v1/events')

/** What one lane reported. */
export interface LaneRun {
  readonly results: { readonly token: string; readonly result: LaneResult }[]
  /** What its owner was called with at the end; its `error` is undefined if the lane ended without one. */
  readonly ended: Promise<KyconnectError | undefined>
  readonly lane: Lane<string>
  /** The largest number of requests that were pending at once. */
  readonly maxPending: () => number
}

/**
 * Sends the bodies through one lane, each with itself as the token, as fast as the lane takes them; closes the lane after the last answer.
 * The pipelining that it is given must not be judged twice, unless a test says so.
 */
export function runLane(
  route: Route,
  bodies: Iterable<string>,
  deps: Partial<LaneDeps> & { readonly close?: boolean } = {},
): LaneRun {
  const source: Iterator<string, unknown> = bodies[Symbol.iterator]()
  const results: LaneRun['results'] = []
  let maxPending = 0
  let isDone = false
  let finish: (error: KyconnectError | undefined) => void
  const ended = new Promise<KyconnectError | undefined>((resolve) => {
    finish = resolve
  })
  const fill = (): void => {
    while (lane.capacity > 0 && !isDone) {
      const next = source.next()
      if (next.done === true) isDone = true
      else lane.send(Buffer.from(next.value), next.value)
    }
    maxPending = Math.max(maxPending, lane.pending)
    if (isDone && lane.pending === 0 && deps.close !== false) lane.close()
  }
  const lane = new Lane<string>(
    route,
    eventsUrl,
    {
      onResult: (token, result) => {
        results.push({
          token,
          result: result.kind === 'answered' ? { ...result, body: Buffer.from(result.body) } : result,
        })
      },
      onCapacity: fill,
      onEnd: (error) => {
        finish(error)
      },
    },
    {
      pipelining: new Pipelining(() => undefined),
      monotonic: () => performance.now(),
      trace: undefined,
      signal: new AbortController().signal,
      ...deps,
    },
  )
  return { results, ended, lane, maxPending: () => maxPending }
}

/** The tokens of the results, by what became of them. */
export function tokensBy(results: LaneRun['results']): Record<'answered' | Fate, string[]> {
  const tokens = (kind: 'answered' | Fate): string[] =>
    results
      .filter(({ result }) => (result.kind === 'answered' ? kind === 'answered' : result.fate === kind))
      .map(({ token }) => token)
  return {
    answered: tokens('answered'),
    unsent: tokens('unsent'),
    'not-processed': tokens('not-processed'),
    'maybe-processed': tokens('maybe-processed'),
  }
}

/** The tokens whose answer repeats another body than the one that was sent. */
export function wronglyAnswered(results: LaneRun['results']): string[] {
  return results
    .filter(({ token, result }) => result.kind === 'answered' && result.body.toString() !== token)
    .map(({ token }) => token)
}

/** What became of bodies that were sent until all of them were answered. */
export interface Publication {
  /** The bodies of the answers, by the body that was sent; more than one would be an answer too many. */
  readonly answers: Map<string, string[]>
  /** How often each fate was reported for a body, by the body. */
  readonly fates: Record<Fate, Map<string, number>>
  readonly errors: KyconnectError[]
  /** How often the owner was informed that the server drops pipelined requests. */
  readonly timesGivenUp: number
}

/**
 * Sends the bodies through several lanes, as a publisher does: what was not answered is sent again, and for each lane that ends another is
 * opened, until every body is answered.
 */
export async function publishAll(route: Route, bodies: readonly string[], lanes: number): Promise<Publication> {
  let timesGivenUp = 0
  const pipelining = new Pipelining(() => timesGivenUp++)
  const { signal } = new AbortController()
  const waiting = [...bodies].reverse()
  const answers = new Map<string, string[]>()
  const fates: Publication['fates'] = { unsent: new Map(), 'not-processed': new Map(), 'maybe-processed': new Map() }
  const errors: KyconnectError[] = []
  let open: Lane<string>[] = []
  await new Promise<void>((resolve) => {
    const begin = (): void => {
      const fill = (): void => {
        while (lane.capacity > 0) {
          const body = waiting.pop()
          if (body === undefined) return
          lane.send(Buffer.from(body), body)
        }
      }
      const lane = new Lane<string>(
        route,
        eventsUrl,
        {
          onResult: (token, result) => {
            if (result.kind === 'answered') {
              answers.set(token, [...(answers.get(token) ?? []), result.body.toString()])
              if (answers.size === bodies.length) setImmediate(resolve)
            } else {
              const times = fates[result.fate]
              times.set(token, (times.get(token) ?? 0) + 1)
              waiting.push(token)
            }
          },
          onCapacity: fill,
          onEnd: (error) => {
            if (error !== undefined) errors.push(error)
            open = open.filter((other) => other !== lane)
            if (answers.size < bodies.length) begin()
          },
        },
        { pipelining, monotonic: () => performance.now(), trace: undefined, signal },
      )
      open.push(lane)
    }
    for (let i = 0; i < lanes; i++) begin()
    // A lane that is idle while another one ends does not learn of what is to be sent again.
    const refill = setInterval(() => {
      if (answers.size === bodies.length) clearInterval(refill)
      for (const lane of open) {
        while (lane.capacity > 0 && waiting.length > 0) {
          const body = waiting.pop()
          if (body !== undefined) lane.send(Buffer.from(body), body)
        }
      }
    }, 5)
  })
  for (const lane of open) lane.close()
  return { answers, fates, errors, timesGivenUp }
}
