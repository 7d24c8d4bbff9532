import { UsageError } from '../errors.js'
import { type EncodedEvent, EventEncoder } from '../events/event-encoder.js'
import { EventSender, type Outcome, type Sendable, type SenderOptions } from '../events/event-sender.js'
import { rejection, type Rejection } from '../events/rejection.js'
import {
  defaultConcurrency,
  defaultRetryForMs,
  maxConcurrency,
  maxRatePerSecond,
  maxRetryForMs,
} from '../events/sending-limits.js'
import { maxOpenLines } from '../events/window.js'
import { BoundedQueue } from './bounded-queue.js'
import { ClosableSource } from './closable-source.js'
import { eventDepsOf, type LiveIdentity } from './live-identity.js'

/** An event: an object in the shape of the Events API or of CloudEvents 1.0, or its JSON as a string or as bytes in UTF-8. */
export type EventToPublish = object | string | Uint8Array

/** They are read in their order. Their answers may arrive in another one. */
export type EventsToPublish = AsyncIterable<EventToPublish> | Iterable<EventToPublish>

/** How an event was answered. */
export interface EventOutcome {
  /** The value that the iterable gave. */
  readonly event: EventToPublish
  /** `ignored`: accepted, but nothing in the cluster subscribes to its type. */
  readonly outcome: 'published' | 'ignored' | 'rejected'
  /** The `event-id`; undefined for an event that was rejected before it was sent. */
  readonly id: string | undefined
  /** Why it was rejected. */
  readonly reason?: string
  /** The field that caused the rejection, if one field did. */
  readonly field?: string
}

export interface PublishEventsOptions {
  /** Connections, from 1 to 128; 16 by default. */
  readonly concurrency?: number | undefined
  /** The most requests in a second, from 1 to 1,000,000; by default there is no limit. */
  readonly ratePerSecond?: number | undefined
  /** For how many milliseconds failures are tried again while nothing succeeds; 5 minutes by default. 0: not at all. */
  readonly retryForMs?: number | undefined
  /** Of events with the same key, the next one is sent only after the one before is answered. */
  readonly key?: ((event: EventToPublish) => string | undefined) | undefined
}

interface OpenEvent extends Sendable {
  readonly event: EventToPublish
}

/**
 * Publishes events, several at a time, and gives one outcome for each, in the order of the answers. An event is sent again until it is answered,
 * with the same id. At most 1,024 events are read ahead of the outcomes that the caller has taken.
 *
 * When the caller stops early (`break`, an error, `return()`), the connections are closed at once, nothing more is read, and `return` of the
 * iterable is called. Events that were read and have no outcome may or may not have been published then, and also when this throws.
 * @throws UsageError at once, for options that cannot be used. While it runs, after the outcomes that have arrived:
 *   ClientCertificateRefusedError, CertificateExpiredError, RequestRefusedError; NetworkError, TimeoutError, ServiceFailedError and
 *   AnswerMalformedError when nothing has succeeded for `retryForMs`; the reason for which the identity was closed. What the iterable or `key`
 *   throws, after the outcomes of all events before it.
 * @example
 * for await (const { outcome, id, reason } of publishEvents(identity, readOrders())) console.log(outcome, id, reason ?? '')
 */
export function publishEvents(
  identity: LiveIdentity,
  events: EventsToPublish,
  options: PublishEventsOptions = {},
): AsyncGenerator<EventOutcome, void, void> {
  // It is an iterable of its characters.
  if (typeof events === 'string')
    throw new UsageError('publishEvents takes an iterable of events, not a string', {
      hints: ['put a single event into an array: publishEvents(identity, [event])'],
    })
  return publish(identity, events, parseOptions(options), options.key)
}

async function* publish(
  identity: LiveIdentity,
  events: EventsToPublish,
  options: SenderOptions,
  keyOf: PublishEventsOptions['key'],
): AsyncGenerator<EventOutcome, void, void> {
  const { source: app, seed, now, sender: deps } = eventDepsOf(identity)
  deps.signal.throwIfAborted()
  const encoder = new EventEncoder({ source: app, seed, now })
  const source = new ClosableSource(events)
  const arrived = new BoundedQueue<OpenEvent>(maxOpenLines)
  const outcomes = new BoundedQueue<EventOutcome>(maxOpenLines)
  const state = {
    /** Events that were read. */
    read: 0,
    /** Of these, the ones whose outcome has not been taken. */
    open: 0,
    /** The iterable has ended, or has failed: nothing more arrives. */
    hasEnded: false,
    /** Everything has an outcome, or the sender has failed, or the caller has stopped. */
    isOver: false,
  }
  let showOutcome: () => void = () => undefined
  let showRoom: () => void = () => undefined

  const sender = new EventSender<OpenEvent>(
    {
      next: () => {
        const event = arrived.take()
        // Not as soon as the iterable ends: the sender would end once it has the outcomes of what it took, and leave the queue unsent.
        if (event === undefined && state.hasEnded) void sender.finish()
        return event
      },
      onOutcome: ({ event, id }, outcome) => {
        outcomes.put(outcomeOf(event, id, outcome))
        showOutcome()
      },
      onTrouble: () => undefined,
      onRecovery: () => undefined,
    },
    options,
    { ...deps, onPipeliningGivenUp: () => undefined },
  )
  const take = (event: EventToPublish): void => {
    // An event that arrives after the caller has stopped is not sent.
    if (state.isOver) return
    const encoded = encode(encoder, event, state.read)
    const key = encoded.kind === 'event' ? keyOf?.(event) : undefined
    state.read++
    state.open++
    if (encoded.kind === 'rejected') {
      outcomes.put(outcomeOf(event, undefined, encoded))
      showOutcome()
      return
    }
    const isWaitedFor = arrived.isEmpty
    arrived.put({ event, id: encoded.id, body: encoded.body, key })
    // While others are in the queue, the sender asks for the next one as soon as it can send it.
    if (isWaitedFor) sender.wake()
  }
  const mustWait = (): boolean => state.open >= maxOpenLines && !state.isOver
  const readAll = async (): Promise<void> => {
    for (;;) {
      while (mustWait()) await new Promise<void>((resolve) => (showRoom = resolve))
      if (state.isOver) return
      const next = await source.next()
      if (next.done === true) return
      take(next.value)
    }
  }
  const reading = readAll().finally(() => {
    state.hasEnded = true
    sender.wake()
  })
  reading.catch(() => undefined)
  const stop = (): void => {
    state.isOver = true
    sender.close()
    showRoom()
    showOutcome()
  }
  sender.done.then(stop, stop)

  try {
    for (;;) {
      for (let next = outcomes.take(); next !== undefined; next = outcomes.take()) {
        state.open--
        showRoom()
        yield next
      }
      if (state.isOver) break
      await new Promise<void>((resolve) => (showOutcome = resolve))
    }
    // What ended the reading explains more than a failure after it.
    if (state.hasEnded) await reading
    await sender.done
  } catch (error) {
    stop()
    // The error that came first is the one to report.
    await source.close().catch(() => undefined)
    throw error
  } finally {
    stop()
    await source.close()
  }
}

/** @throws UsageError */
function parseOptions({ concurrency, ratePerSecond, retryForMs }: PublishEventsOptions): SenderOptions {
  return {
    concurrency: wholeNumber(concurrency ?? defaultConcurrency, 'concurrency', 1, maxConcurrency),
    ratePerSecond:
      ratePerSecond === undefined ? undefined : wholeNumber(ratePerSecond, 'ratePerSecond', 1, maxRatePerSecond),
    retryForMs: wholeNumber(retryForMs ?? defaultRetryForMs, 'retryForMs', 0, maxRetryForMs),
  }
}

function wholeNumber(value: number, name: string, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  // A program without types may give anything.
  const given = typeof value === 'number' ? String(value) : `a value of type ${typeof value}`
  throw new UsageError(`${name} takes a whole number from ${least} to ${most}, not ${given}`)
}

function outcomeOf(event: EventToPublish, id: string | undefined, outcome: Outcome | Rejection): EventOutcome {
  if (outcome.kind !== 'rejected') return { event, id, outcome: outcome.kind }
  const { reason, field } = outcome
  return { event, id, outcome: 'rejected', reason, ...(field === undefined ? {} : { field }) }
}

/** @param number the event's place among all: the id of an event that has none depends on it */
function encode(encoder: EventEncoder, event: EventToPublish, number: number): EncodedEvent | Rejection {
  if (event instanceof Uint8Array) {
    return encoder.encodeLine(Buffer.from(event.buffer, event.byteOffset, event.byteLength), number)
  }
  if (typeof event === 'string') return encoder.encodeLine(Buffer.from(event), number)
  let text: string | undefined
  try {
    text = textOf(event)
  } catch (error) {
    // A message of the engine goes on for lines about where a circle closes.
    const [cause] = error instanceof Error ? error.message.split('\n') : [String(error)]
    return rejection('not-json', undefined, `the event cannot be written as JSON: ${cause ?? ''}`)
  }
  if (text === undefined) return rejection('not-json', undefined, 'the event cannot be written as JSON')
  return encoder.encodeLine(Buffer.from(text), number)
}

/** The JSON of a value; undefined for `undefined`, a function and a symbol, which have none. */
function textOf(value: unknown): string | undefined {
  return JSON.stringify(value)
}
