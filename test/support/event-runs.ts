import { type KyconnectError } from '../../src/errors.js'
import {
  type EventRoute,
  EventSender,
  type Outcome,
  type SenderCounts,
  type SenderDeps,
  type SenderOptions,
} from '../../src/events/event-sender.js'
import type { Route } from '../../src/transport/route.js'
import { eventsUrl } from './lane-runs.js'
import type { ReceivedPost } from './lane-server.js'

/** An event of a test. */
export interface TestEvent {
  readonly id: string
  readonly body: Buffer
  readonly key: string | undefined
}

/** Events with ids in order; every `keys` of them have different keys, and none has a key without it. */
export function testEvents(count: number, keys?: number): TestEvent[] {
  return Array.from({ length: count }, (_, number) => {
    const id = idOf(number)
    const key = keys === undefined ? undefined : `key-${number % keys}`
    return { id, key, body: Buffer.from(JSON.stringify({ 'event-id': id, ...(key !== undefined && { data: key }) })) }
  })
}

export function idOf(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
}

export function receivedId({ body }: Pick<ReceivedPost, 'body'>): string {
  return /"event-id":"([^"]+)"/.exec(body)?.[1] ?? ''
}

/** An answer as the gateway gives it. */
export function answer(status: number, contentType: string, body: string, ...headers: readonly string[]): string {
  return [
    `HTTP/1.1 ${status} Status`,
    `content-type: ${contentType}`,
    ...headers,
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}

/** The answer of the event service to a POST. */
export function published(post: Pick<ReceivedPost, 'body'>, ...headers: readonly string[]): string {
  return answer(
    200,
    'application/json',
    `{"event-id":"${receivedId(post)}","status":"published","reason":""}`,
    ...headers,
  )
}

/** What a sender did with events. */
export interface SenderRun {
  /** By id; more than one would be an outcome too many. */
  readonly outcomes: Map<string, Outcome[]>
  readonly troubles: KyconnectError[]
  /** How often the owner was informed that events are accepted again. */
  readonly recoveries: () => number
  readonly counts: () => SenderCounts
  /** undefined once all events have an outcome, otherwise what ended the run. */
  readonly ended: Promise<unknown>
  readonly sender: EventSender<TestEvent>
  readonly timesGivenUp: () => number
}

/**
 * Sends events through an {@link EventSender}, with short pauses unless a test gives its own clock.
 * @param events undefined among them: none has arrived; the test must wake the sender
 */
export function runSender(
  route: Route | (() => Route),
  events: Iterable<TestEvent | undefined>,
  options: Partial<SenderOptions> = {},
  deps: Partial<SenderDeps> = {},
): SenderRun {
  const source: Iterator<TestEvent | undefined, unknown> = events[Symbol.iterator]()
  const outcomes: SenderRun['outcomes'] = new Map()
  const troubles: KyconnectError[] = []
  let timesGivenUp = 0
  let recoveries = 0
  let isDone = false
  const currentRoute = (): Promise<EventRoute> =>
    Promise.resolve({ route: typeof route === 'function' ? route() : route, url: eventsUrl })
  const sender: EventSender<TestEvent> = new EventSender<TestEvent>(
    {
      next: () => {
        const next = source.next()
        if (next.done !== true) return next.value
        if (!isDone) {
          isDone = true
          // Not before the call that asks for the next event has returned.
          queueMicrotask(() => {
            void sender.finish().catch(() => undefined)
          })
        }
        return undefined
      },
      onOutcome: ({ id }, outcome) => {
        outcomes.set(id, [...(outcomes.get(id) ?? []), outcome])
      },
      onTrouble: (error) => {
        troubles.push(error)
      },
      onRecovery: () => recoveries++,
    },
    { concurrency: 4, ratePerSecond: undefined, retryForMs: Infinity, ...options },
    {
      route: currentRoute,
      renewedRoute: currentRoute,
      // Its time is a hundred times as fast: pauses of 0.2 s take 2 ms.
      monotonic: () => performance.now() * 100,
      random: Math.random,
      after: (milliseconds, work) => cancellable(milliseconds / 100, work),
      every: () => () => undefined,
      trace: undefined,
      signal: new AbortController().signal,
      onPipeliningGivenUp: () => timesGivenUp++,
      ...deps,
    },
  )
  const ended = sender.done.then(
    () => undefined,
    (error: unknown) => error,
  )
  sender.wake()
  return {
    outcomes,
    troubles,
    recoveries: () => recoveries,
    counts: () => sender.counts,
    ended,
    sender,
    timesGivenUp: () => timesGivenUp,
  }
}

export function cancellable(milliseconds: number, work: () => void): () => void {
  const timer = setTimeout(work, milliseconds)
  return () => {
    clearTimeout(timer)
  }
}

/** A clock whose time passes only in timers: each fires as soon as what happens on the network has had its turn. */
export function quickClock(): Pick<SenderDeps, 'monotonic' | 'after'> & { readonly pausesMs: number[] } {
  let now = 0
  const pausesMs: number[] = []
  return {
    pausesMs,
    monotonic: () => now,
    after: (milliseconds, work) => {
      pausesMs.push(milliseconds)
      const dueMs = now + milliseconds
      return cancellable(5, () => {
        now = Math.max(now, dueMs)
        work()
      })
    },
  }
}
