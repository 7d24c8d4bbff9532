import { AnswerMalformedError, type KyconnectError, NetworkError, TimeoutError } from '../errors.js'
import { Lane, type LaneResult } from '../transport/lane/lane.js'
import { Pipelining } from '../transport/lane/pipelining.js'
import type { Route } from '../transport/route.js'
import { readEventAnswer } from './event-answer.js'

/** An event to send. */
export interface Sendable {
  readonly id: string
  readonly body: Buffer
  /** Of events with the same key, no two are unanswered at the same time. */
  readonly key: string | undefined
}

/** What became of an event. */
export type Outcome =
  | { readonly kind: 'published' | 'ignored' }
  | { readonly kind: 'rejected'; readonly reason: string; readonly field: string | undefined; readonly status: number }

/** Where the events come from, and where their outcomes go. */
export interface SenderOwner<Item extends Sendable> {
  /** The next event; undefined when none has arrived: `wake` the sender then. */
  next(): Item | undefined
  onOutcome(item: Item, outcome: Outcome): void
  /** The first failure since the last answer: what is being tried again. Called at most every {@link reportEveryMs}. */
  onTrouble(error: KyconnectError): void
}

export interface SenderOptions {
  /** Connections. */
  readonly concurrency: number
  /** Requests; undefined: as fast as it goes. */
  readonly ratePerSecond: number | undefined
  /** Milliseconds for which failures are tried again when nothing succeeds. */
  readonly retryForMs: number
}

export interface SenderDeps {
  /** How the next connection is made: with the certificate as it is now. @throws KyconnectError when there is none that can be used */
  readonly route: () => Promise<{ readonly route: Route; readonly url: URL }>
  /** Milliseconds on a monotonic clock. */
  readonly monotonic: () => number
  /** From 0 to 1. */
  readonly random: () => number
  /** Runs work after a time. @returns cancels it */
  readonly after: (milliseconds: number, work: () => void) => () => void
  readonly trace: ((line: string) => void) | undefined
  /** When aborted, ends all connections at once. */
  readonly signal: AbortSignal
  /** Called once when the server is not sent several requests together any more. */
  readonly onPipeliningGivenUp: () => void
}

/** Numbers for the report at the end. */
export interface SenderCounts {
  /** Events that were sent more than once because an earlier attempt failed. */
  readonly retried: number
  /** Events whose failed attempt may have been published as well: consumers see them twice, with the same id. */
  readonly maybeTwice: number
}

const firstPauseMs = 200
const longestPauseMs = 30_000
/** A service that fails now and then must not fill the log. */
const reportEveryMs = 30_000
/** Time without requests for which a rate is made up for: timers are late. */
const rateCreditMs = 20

/** A connection, as the answers to what it sent are judged. */
interface Connection<Item> {
  readonly url: URL
  readonly lane: Lane<Sending<Item>>
  /** It was never sent a request before the answer to the one before. */
  readonly isSequential: boolean
}

interface Sending<Item> {
  readonly item: Item
  failures: number
  maybeProcessed: boolean
}

/**
 * Sends events over several connections, each with several unanswered requests. It sends an event again until it is answered: with the
 * same body, and so with the same id.
 */
export class EventSender<Item extends Sendable> {
  readonly #owner: SenderOwner<Item>
  readonly #options: SenderOptions
  readonly #deps: SenderDeps
  readonly #pipelining: Pipelining
  readonly #lanes = new Set<Lane<Sending<Item>>>()
  #opening = 0
  /** Failed, and not sent again yet; by the time from which they may be. */
  readonly #waiting: { readonly sending: Sending<Item>; readonly dueMs: number }[] = []
  /** May be sent now: not processed by a connection that ended, or free after another event of the same key. */
  readonly #ready: Sending<Item>[] = []
  /** Keys with an unanswered event, and the events that wait for it. */
  readonly #keys = new Map<string, Sending<Item>[]>()
  /** Taken from the owner, and without an outcome. */
  #unsettled = 0
  #isFinishing = false
  #isStopped = false
  #connectFailures = 0
  #connectAtMs = -Infinity
  #nextSendMs = -Infinity
  #reportedMs = -Infinity
  #cancelTimer: (() => void) | undefined
  #timerMs = Infinity
  /** When the first failure since the last answer was; undefined while all is well. */
  #troubledSinceMs: number | undefined
  #retried = 0
  #maybeTwice = 0
  readonly #done: Promise<void>
  #resolve: () => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(owner: SenderOwner<Item>, options: SenderOptions, deps: SenderDeps) {
    this.#owner = owner
    this.#options = options
    this.#deps = deps
    this.#pipelining = new Pipelining(deps.onPipeliningGivenUp)
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Failures before anyone waits are reported to those who wait later.
    this.#done.catch(() => undefined)
    // While it pauses after a failure, no connection notices that the run was ended.
    deps.signal.addEventListener('abort', this.#abort, { once: true })
    if (deps.signal.aborted) this.#abort()
  }

  get counts(): SenderCounts {
    return { retried: this.#retried, maybeTwice: this.#maybeTwice }
  }

  /** More events have arrived, or there is room for their outcomes. */
  wake(): void {
    if (this.#isStopped) return
    this.#pump()
  }

  /** No more events will arrive. @returns resolves once all have an outcome @throws what ended the sending */
  finish(): Promise<void> {
    this.#isFinishing = true
    this.#endIfDone()
    return this.#done
  }

  /** Rejects when the sending ends early; resolves as `finish`. */
  get done(): Promise<void> {
    return this.#done
  }

  /** Takes no more events, and waits for the answers to those that are under way. */
  async drain(milliseconds: number): Promise<void> {
    this.#isStopped = true
    this.#waiting.length = 0
    this.#ready.length = 0
    const end = this.#deps.monotonic() + milliseconds
    while ([...this.#lanes].some((lane) => lane.pending > 0) && this.#deps.monotonic() < end) {
      await new Promise<void>((resolve) => {
        this.#deps.after(20, resolve)
      })
    }
    this.close()
  }

  /** Ends all connections now. What has no outcome stays without one. */
  close(): void {
    this.#isStopped = true
    this.#cancelTimer?.()
    this.#deps.signal.removeEventListener('abort', this.#abort)
    for (const lane of this.#lanes) lane.close()
  }

  readonly #abort = (): void => {
    this.#fail(this.#deps.signal.reason)
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return
    this.#reject(error)
    this.close()
  }

  #endIfDone(): void {
    if (!this.#isFinishing || this.#unsettled > 0 || this.#isStopped) return
    this.#resolve()
    this.close()
  }

  /** Gives work to connections that take some, and opens connections for the rest. */
  #pump(): void {
    for (const lane of this.#lanes) this.#fill(lane)
    if (this.#isStopped || this.#lanes.size + this.#opening >= this.#options.concurrency) return
    const sending = this.#takeAny()
    if (sending === undefined) return
    // It waits for the connection that is opened now.
    this.#ready.unshift(sending)
    const waitMs = this.#connectAtMs - this.#deps.monotonic()
    if (waitMs > 0) this.#wakeAfter(waitMs)
    else this.#open()
  }

  #open(): void {
    this.#opening++
    this.#deps
      .route()
      .then(({ route, url }) => {
        this.#opening--
        if (this.#isStopped) return
        this.#connect(route, url)
      })
      .catch((error: unknown) => {
        this.#fail(error)
      })
  }

  #connect(route: Route, url: URL): void {
    let hasAnswered = false
    const { trace, signal } = this.#deps
    const openedMs = this.#deps.monotonic()
    const isSequential = this.#pipelining.window === 1
    const lane: Lane<Sending<Item>> = new Lane<Sending<Item>>(
      route,
      url,
      {
        onResult: (sending, result) => {
          hasAnswered ||= result.kind === 'answered'
          this.#onResult(sending, result, { url, lane, isSequential })
        },
        onCapacity: () => {
          this.#fill(lane)
          // The first connection says that the server is there; then the others are opened.
          if (!this.#isStopped) this.#pump()
        },
        onEnd: (error) => {
          this.#lanes.delete(lane)
          this.#onLaneEnd(error, { hasAnswered, isResumed: lane.isResumed, openedMs })
        },
      },
      { pipelining: this.#pipelining, trace, signal },
    )
    this.#lanes.add(lane)
  }

  #onLaneEnd(
    error: KyconnectError | undefined,
    { hasAnswered, isResumed, openedMs }: { hasAnswered: boolean; isResumed: boolean; openedMs: number },
  ): void {
    if (this.#isStopped) return
    if (hasAnswered || error === undefined) this.#connectFailures = 0
    else {
      if (!isPassing(error) && !isResumed) {
        this.#fail(error)
        return
      }
      // Connections that were opened together fail together, and count as one failure.
      if (openedMs >= this.#connectAtMs) {
        this.#connectFailures++
        this.#connectAtMs = this.#deps.monotonic() + this.#pauseMs(this.#connectFailures)
      }
      if (!this.#noteTrouble(error)) return
    }
    this.#pump()
  }

  #fill(lane: Lane<Sending<Item>>): void {
    while (!this.#isStopped && lane.capacity > 0) {
      const sending = this.#take()
      if (sending === undefined) return
      lane.send(sending.item.body, sending)
    }
  }

  /** The next event that may be sent now, if the rate allows one. */
  #take(): Sending<Item> | undefined {
    const { ratePerSecond } = this.#options
    if (ratePerSecond === undefined) return this.#takeAny()
    const now = this.#deps.monotonic()
    if (this.#nextSendMs > now) {
      this.#wakeAfter(this.#nextSendMs - now)
      return undefined
    }
    const found = this.#takeAny()
    if (found !== undefined) this.#nextSendMs = Math.max(this.#nextSendMs, now - rateCreditMs) + 1000 / ratePerSecond
    return found
  }

  #takeAny(): Sending<Item> | undefined {
    return this.#ready.shift() ?? this.#takeDue() ?? this.#takeNew()
  }

  #takeDue(): Sending<Item> | undefined {
    const [first] = this.#waiting
    if (first === undefined) return undefined
    const waitMs = first.dueMs - this.#deps.monotonic()
    if (waitMs > 0) {
      this.#wakeAfter(waitMs)
      return undefined
    }
    return this.#waiting.shift()?.sending
  }

  #takeNew(): Sending<Item> | undefined {
    for (;;) {
      const item = this.#owner.next()
      if (item === undefined) return undefined
      this.#unsettled++
      const sending = { item, failures: 0, maybeProcessed: false }
      if (item.key === undefined) return sending
      const others = this.#keys.get(item.key)
      if (others === undefined) {
        this.#keys.set(item.key, [])
        return sending
      }
      others.push(sending)
    }
  }

  #onResult(sending: Sending<Item>, result: LaneResult, { url, lane, isSequential }: Connection<Item>): void {
    if (result.kind === 'unanswered') {
      if (this.#isStopped) return
      if (result.fate !== 'maybe-processed') this.#ready.push(sending)
      else this.#retry(sending, result.error, true)
      return
    }
    const answered = readEventAnswer(result, sending.item.id, url)
    switch (answered.kind) {
      case 'published':
      case 'ignored':
        this.#settle(sending, answered)
        break
      case 'rejected':
        this.#settle(sending, { ...answered, status: result.status })
        break
      case 'retry':
        this.#retry(sending, answered.error, answered.mayBeProcessed)
        break
      case 'fatal':
        if (!lane.isResumed) {
          this.#fail(answered.error)
          break
        }
        // The server may have lost the client certificate of the session.
        this.#ready.push(sending)
        lane.forgetSession()
        lane.retire()
        break
      case 'misplaced':
        if (isSequential) {
          this.#fail(answered.error)
          break
        }
        // The server mixes up answers to requests that are sent together: none on this connection can be trusted.
        this.#pipelining.giveUp()
        this.#retry(sending, answered.error, true)
        lane.close()
        break
    }
  }

  #settle(sending: Sending<Item>, outcome: Outcome): void {
    const { item, failures, maybeProcessed } = sending
    this.#troubledSinceMs = undefined
    if (failures > 0) this.#retried++
    if (maybeProcessed && outcome.kind !== 'rejected') this.#maybeTwice++
    this.#unsettled--
    if (item.key !== undefined) this.#freeKey(item.key)
    try {
      this.#owner.onOutcome(item, outcome)
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#endIfDone()
  }

  #freeKey(key: string): void {
    const next = this.#keys.get(key)?.shift()
    if (next === undefined) this.#keys.delete(key)
    else this.#ready.push(next)
  }

  #retry(sending: Sending<Item>, error: KyconnectError | undefined, maybeProcessed: boolean): void {
    sending.failures++
    sending.maybeProcessed ||= maybeProcessed
    if (error !== undefined && !this.#noteTrouble(error)) return
    const dueMs = this.#deps.monotonic() + this.#pauseMs(sending.failures)
    let place = this.#waiting.length
    while (place > 0 && (this.#waiting[place - 1]?.dueMs ?? 0) > dueMs) place--
    this.#waiting.splice(place, 0, { sending, dueMs })
    this.#wakeAfter(dueMs - this.#deps.monotonic())
  }

  /** Reports the first failure, and ends the run when nothing has succeeded for too long. @returns whether to go on */
  #noteTrouble(error: KyconnectError): boolean {
    if (this.#isStopped) return false
    const now = this.#deps.monotonic()
    if (this.#troubledSinceMs === undefined) {
      this.#troubledSinceMs = now
      if (now - this.#reportedMs >= reportEveryMs) {
        this.#reportedMs = now
        this.#owner.onTrouble(error)
      }
    }
    if (now - this.#troubledSinceMs < this.#options.retryForMs) return true
    this.#fail(error)
    return false
  }

  /** Full jitter, so that the events of a connection that broke are not sent again all at once. */
  #pauseMs(failures: number): number {
    const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 20))
    return firstPauseMs + this.#deps.random() * (longest - firstPauseMs)
  }

  #wakeAfter(milliseconds: number): void {
    const atMs = this.#deps.monotonic() + milliseconds
    if (atMs >= this.#timerMs) return
    this.#cancelTimer?.()
    this.#timerMs = atMs
    this.#cancelTimer = this.#deps.after(Math.max(1, milliseconds), () => {
      this.#timerMs = Infinity
      this.#cancelTimer = undefined
      this.wake()
    })
  }
}

/** Whether the next connection may succeed. */
function isPassing(error: KyconnectError): boolean {
  return error instanceof NetworkError || error instanceof TimeoutError || error instanceof AnswerMalformedError
}
