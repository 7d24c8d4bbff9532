import { UsageError } from '../errors.js'
import { EventEncoder } from '../events/event-encoder.js'
import { EventSender, type Sendable } from '../events/event-sender.js'
import { eventDepsOf, type LiveIdentity } from './live-identity.js'

/** An event: an object in the shape of the Events API or of CloudEvents 1.0, or its JSON. */
export type EventToPublish = object | string | Uint8Array

/** What became of an event. */
export interface EventOutcome {
  /** As it was given. */
  readonly event: EventToPublish
  /** `ignored`: accepted, but nothing in the cluster subscribes to its type. */
  readonly outcome: 'published' | 'ignored' | 'rejected'
  /** The `event-id`; undefined for an event that was rejected before it was sent. */
  readonly id: string | undefined
  /** Why it was rejected. */
  readonly reason?: string
  /** The field at fault, if one is. */
  readonly field?: string
}

export interface PublishEventsOptions {
  /** Connections; default: 16. */
  readonly concurrency?: number | undefined
  /** The most requests in a second; default: no limit. */
  readonly ratePerSecond?: number | undefined
  /** Milliseconds for which failures are tried again while nothing succeeds; default: 5 minutes. */
  readonly retryForMs?: number | undefined
  /** Of events with the same key, one is sent after the other. */
  readonly key?: ((event: EventToPublish) => string | undefined) | undefined
}

/** Events whose outcome has not been taken yet. */
const maxOpen = 1024

interface Open extends Sendable {
  readonly event: EventToPublish
}

/**
 * Publishes events, several at a time, and gives the outcome of each, in the order of the answers. It takes events only as fast as the
 * outcomes are taken. An event that is sent again after a failure has the same id.
 * @throws ClientCertificateRefusedError, RequestRefusedError, NetworkError, TimeoutError and others that would end every event; what the
 *   iterable throws
 * @example
 * for await (const { outcome, id, reason } of publishEvents(identity, readOrders())) console.log(outcome, id, reason ?? '')
 */
export async function* publishEvents(
  identity: LiveIdentity,
  events: AsyncIterable<EventToPublish> | Iterable<EventToPublish>,
  options: PublishEventsOptions = {},
): AsyncGenerator<EventOutcome, void, void> {
  const { concurrency = 16, ratePerSecond, retryForMs = 5 * 60_000, key } = options
  const { source, seed, now, sender: deps } = eventDepsOf(identity)
  const encoder = new EventEncoder({ source, seed, now })
  const arrived: Open[] = []
  const outcomes: EventOutcome[] = []
  let open = 0
  let taken = 0
  let notify: () => void = () => undefined
  let mayRead: () => void = () => undefined
  const sender = new EventSender<Open>(
    {
      next: () => arrived.shift(),
      onOutcome: ({ event, id }, result) => {
        outcomes.push(
          result.kind === 'rejected'
            ? { event, id, outcome: 'rejected', reason: result.reason, ...fieldOf(result.field) }
            : { event, id, outcome: result.kind },
        )
        notify()
      },
      onTrouble: () => undefined,
      onRecovery: () => undefined,
    },
    { concurrency, ratePerSecond, retryForMs },
    { ...deps, onPipeliningGivenUp: () => undefined },
  )
  const stopped = new AbortController()
  const isFull = (): boolean => open >= maxOpen && !stopped.signal.aborted
  const read = async (): Promise<void> => {
    for await (const event of events) {
      if (stopped.signal.aborted) return
      const encoded = encoder.encodeLine(bytesOf(event), taken++)
      open++
      if (encoded.kind === 'event') {
        arrived.push({ event, id: encoded.id, body: encoded.body, key: key?.(event) })
        sender.wake()
      } else {
        outcomes.push({ event, id: undefined, outcome: 'rejected', reason: encoded.reason, ...fieldOf(encoded.field) })
        notify()
      }
      while (isFull()) await new Promise<void>((resolve) => (mayRead = resolve))
    }
    await sender.finish()
  }
  const ending: { isOver: boolean; error: Error | undefined } = { isOver: false, error: undefined }
  const end = (error: unknown): void => {
    ending.isOver = true
    if (error !== undefined)
      ending.error ??= error instanceof Error ? error : new Error('reading the events failed', { cause: error })
    notify()
  }
  sender.done.catch(end)
  read().then(() => {
    end(undefined)
  }, end)
  try {
    for (;;) {
      for (let next = outcomes.shift(); next !== undefined; next = outcomes.shift()) {
        open--
        mayRead()
        yield next
      }
      if (ending.isOver) {
        if (ending.error !== undefined) throw ending.error
        if (outcomes.length === 0) return
        continue
      }
      await new Promise<void>((resolve) => {
        notify = resolve
        if (outcomes.length > 0 || ending.isOver) resolve()
      })
    }
  } finally {
    stopped.abort()
    mayRead()
    sender.close()
  }
}

function fieldOf(field: string | undefined): { readonly field?: string } {
  return field === undefined ? {} : { field }
}

function bytesOf(event: EventToPublish): Buffer {
  if (typeof event === 'string') return Buffer.from(event)
  if (event instanceof Uint8Array) return Buffer.from(event.buffer, event.byteOffset, event.byteLength)
  try {
    return Buffer.from(JSON.stringify(event))
  } catch (cause) {
    throw new UsageError('an event cannot be written as JSON', { cause })
  }
}
