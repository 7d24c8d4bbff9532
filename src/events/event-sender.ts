import {
  AnswerMalformedError,
  ClientCertificateRefusedError,
  type KyconnectError,
  NetworkError,
  TimeoutError,
} from '../errors.js'
import { Lane, type LaneResult } from '../transport/lane/lane.js'
import { Pipelining } from '../transport/lane/pipelining.js'
import type { Route } from '../transport/route.js'
import { readEventAnswer } from './event-answer.js'
import { Trouble, type TroubleReport } from './trouble.js'

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
export interface SenderOwner<Item extends Sendable> extends TroubleReport {
  /** The next event; undefined when none has arrived yet: call `wake` when one has. */
  next(): Item | undefined
  onOutcome(item: Item, outcome: Outcome): void
}

export interface SenderOptions {
  /** Connections that may be open at the same time. */
  readonly concurrency: number
  /** Requests in a second; undefined: no limit. */
  readonly ratePerSecond: number | undefined
  /** Milliseconds for which failures are tried again while nothing succeeds. */
  readonly retryForMs: number
}

/** Where events are sent, and with which certificate. */
export interface EventRoute {
  /** The same object as before, unless the identity has changed. */
  readonly route: Route
  readonly url: URL
}

export interface SenderDeps {
  /** The route of the next connection: with the certificate as it is now. @throws KyconnectError when no certificate can be used */
  readonly route: () => Promise<EventRoute>
  /**
   * The same, after looking for a newer certificate: for when the gateway has refused the one in use. @throws KyconnectError when no
   * certificate can be used
   */
  readonly renewedRoute: () => Promise<EventRoute>
  /** Milliseconds on a monotonic clock. */
  readonly monotonic: () => number
  /** From 0 to 1. */
  readonly random: () => number
  /** Runs work after a time. @returns cancels it */
  readonly after: (milliseconds: number, work: () => void) => () => void
  /** Runs work again and again, and does not keep the process running for that. @returns ends it */
  readonly every: (milliseconds: number, work: () => void) => () => void
  /** Takes the lines of --verbose; undefined without that flag. */
  readonly trace: ((line: string) => void) | undefined
  /** When aborted, ends all connections at once. */
  readonly signal: AbortSignal
  /** Called once, when the server turns out to drop requests that are sent together. */
  readonly onPipeliningGivenUp: () => void
}

/** Numbers for the report at the end. Each event counts once, when it is sent for the second time. */
export interface SenderCounts {
  /** Events that were sent again after a failed attempt. */
  readonly retried: number
  /**
   * Events that were sent again although a failed attempt may have been published: consumers may see them twice, with the same id. An event
   * that is rejected in the end stays counted, because the attempt before may have been published all the same.
   */
  readonly maybeTwice: number
}

const firstPauseMs = 200
const longestPauseMs = 30_000
/** How much timer delay the rate makes up for. */
const rateCreditMs = 20
/** How often the route is asked for while connections stay open. Asking for it is also what renews a certificate that is due. */
const routeCheckMs = 10_000
/** The longest time that a timer of Node can wait. */
const longestTimerMs = 2 ** 31 - 1

/** What is needed to judge the answer to an event. */
interface AnswerContext<Item> {
  readonly url: URL
  readonly lane: Lane<Sending<Item>>
}

/** An event that was taken from the owner, and has no outcome yet. */
interface Sending<Item> {
  readonly item: Item
  /** Attempts that failed. */
  failures: number
  /** Whether a failed attempt may have been published. */
  maybeProcessed: boolean
  /** What it has been counted as. */
  counted: 'nothing' | 'retried' | 'maybe-twice'
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
  readonly #trouble: Trouble
  /** The route of the last connection that was opened, or the one that was found since. */
  #route: Route | undefined
  readonly #lanes = new Set<Lane<Sending<Item>>>()
  /** Connections whose route has been asked for. */
  #opening = 0
  /** Lanes that have not been able to send anything yet. */
  readonly #connecting = new Set<Lane<Sending<Item>>>()
  /** Failed events waiting to be retried, earliest first. */
  readonly #waiting: { readonly sending: Sending<Item>; readonly dueMs: number }[] = []
  /** May be sent now: not processed by a connection that ended, or free after another event of the same key. */
  readonly #ready: Sending<Item>[] = []
  /** Keys with an unanswered event, and the events that wait for it. */
  readonly #keys = new Map<string, Sending<Item>[]>()
  /** How many events were taken from the owner and have no outcome yet. */
  #unsettled = 0
  #isFinishing = false
  #isStopped = false
  /** The gateway has refused the certificate, and a newer one is being looked for. */
  #isRefused = false
  #connectFailures = 0
  #connectAtMs = -Infinity
  #nextSendMs = -Infinity
  #cancelTimer: (() => void) | undefined
  #timerMs = Infinity
  readonly #endRouteChecks: () => void
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
    this.#trouble = new Trouble(owner, options.retryForMs)
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A failure before anything awaits `done` is still reported to what awaits it later.
    this.#done.catch(() => undefined)
    this.#endRouteChecks = deps.every(routeCheckMs, this.#checkRoute)
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

  /** No more events will arrive, and `next` has given all that have. @returns resolves once all have an outcome @throws what ended the sending */
  finish(): Promise<void> {
    this.#isFinishing = true
    this.#endIfDone()
    return this.#done
  }

  /** Rejects when the sending ends early; resolves as `finish`. */
  get done(): Promise<void> {
    return this.#done
  }

  /** Takes no more events, and waits for the answers to those that have been sent. */
  async drain(milliseconds: number): Promise<void> {
    this.#isStopped = true
    this.#waiting.length = 0
    this.#ready.length = 0
    const end = this.#deps.monotonic() + milliseconds
    while (this.#awaitsAnswers() && this.#deps.monotonic() < end) {
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
    this.#endRouteChecks()
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

  #awaitsAnswers(): boolean {
    for (const { pending } of this.#lanes) if (pending > 0) return true
    return false
  }

  /** Gives events to the connections that take some, and opens a connection if there are more. */
  #pump(): void {
    for (const lane of this.#lanes) this.#fill(lane)
    if (!this.#mayOpen()) return
    const sending = this.#takeAny()
    if (sending === undefined) return
    // It waits for the connection that is opened now.
    this.#ready.unshift(sending)
    const waitMs = this.#connectAtMs - this.#deps.monotonic()
    if (waitMs > 0) this.#wakeAfter(waitMs)
    else this.#open()
  }

  #mayOpen(): boolean {
    const { concurrency, ratePerSecond } = this.#options
    if (this.#isStopped || this.#isRefused || this.#lanes.size + this.#opening >= concurrency) return false
    if (ratePerSecond === undefined) return true
    // Only the connections that the rate needs: one is added when a request is due, and no open connection takes it.
    return this.#opening + this.#connecting.size === 0 && this.#isDue(this.#deps.monotonic())
  }

  #open(): void {
    this.#opening++
    this.#deps
      .route()
      .then((found) => {
        this.#opening--
        if (this.#isStopped) return
        if (!this.#isRefused) this.#connect(found)
      })
      .catch((error: unknown) => {
        this.#fail(error)
      })
  }

  #connect({ route, url }: EventRoute): void {
    this.#useRoute(route)
    let hasAnswered = false
    const { monotonic, trace, signal } = this.#deps
    const openedMs = monotonic()
    const lane: Lane<Sending<Item>> = new Lane<Sending<Item>>(
      route,
      url,
      {
        onResult: (sending, result) => {
          hasAnswered ||= result.kind === 'answered'
          this.#onResult(sending, result, context)
        },
        onCapacity: () => {
          this.#connecting.delete(lane)
          this.#fill(lane)
          // The first connection shows that the server can be reached; then the others are opened.
          if (!this.#isStopped) this.#pump()
        },
        onEnd: (error) => {
          this.#lanes.delete(lane)
          this.#connecting.delete(lane)
          this.#onLaneEnd(error, lane, { hasAnswered, openedMs })
        },
      },
      { pipelining: this.#pipelining, monotonic, trace, signal },
    )
    const context: AnswerContext<Item> = { url, lane }
    this.#lanes.add(lane)
    this.#connecting.add(lane)
  }

  /** Renews a certificate that is due, and replaces the connections with an older one. */
  readonly #checkRoute = (): void => {
    if (this.#isRefused) return
    this.#deps.route().then(
      ({ route }) => {
        if (!this.#isStopped) this.#useRoute(route)
      },
      // Without a usable certificate no connection can be opened. The open ones are used as long as the gateway accepts them.
      () => undefined,
    )
  }

  /** Has all connections with another route end as soon as what they sent is answered. */
  #useRoute(route: Route): void {
    if (route === this.#route) return
    this.#route = route
    for (const lane of this.#lanes) if (lane.route !== route) lane.retire()
  }

  /**
   * The gateway has refused the certificate of a route. That ends the run, unless there is a newer certificate: another process may have
   * renewed it, or paired again.
   */
  #onRefused(error: ClientCertificateRefusedError, { route }: Lane<Sending<Item>>): void {
    if (this.#isStopped || this.#isRefused) return
    if (route !== this.#route) {
      this.#pump()
      return
    }
    this.#isRefused = true
    for (const lane of this.#lanes) lane.retire()
    this.#deps
      .renewedRoute()
      .then((found) => {
        this.#isRefused = false
        if (this.#isStopped) return
        if (found.route === route) {
          this.#fail(error)
          return
        }
        this.#useRoute(found.route)
        this.#pump()
      })
      .catch((failure: unknown) => {
        this.#fail(failure)
      })
  }

  #onLaneEnd(
    error: KyconnectError | undefined,
    lane: Lane<Sending<Item>>,
    { hasAnswered, openedMs }: { hasAnswered: boolean; openedMs: number },
  ): void {
    if (this.#isStopped) return
    if (hasAnswered || error === undefined) this.#connectFailures = 0
    else {
      // A resumed session proves nothing: the server may have lost what it knew about the client, and the next connection is a new session.
      if (!isPassing(error) && !lane.isResumed) {
        if (error instanceof ClientCertificateRefusedError) this.#onRefused(error, lane)
        else this.#fail(error)
        return
      }
      const now = this.#deps.monotonic()
      // Connections that were opened together fail together, and count as one failure.
      if (openedMs >= this.#connectAtMs) {
        this.#connectFailures++
        this.#connectAtMs = now + this.#pauseMs(this.#connectFailures)
      }
      // The end of a connection that no event needs is not trouble.
      if (this.#unsettled > 0 && isPassing(error) && !this.#noteTrouble(error, now)) return
    }
    this.#pump()
  }

  #fill(lane: Lane<Sending<Item>>): void {
    while (!this.#isStopped && lane.capacity > 0) {
      const sending = this.#take()
      if (sending === undefined) return
      if (sending.failures > 0) this.#countRepetition(sending)
      lane.send(sending.item.body, sending)
    }
  }

  #countRepetition(sending: Sending<Item>): void {
    if (sending.counted === 'nothing') {
      this.#retried++
      sending.counted = 'retried'
    }
    if (sending.counted === 'retried' && sending.maybeProcessed) {
      this.#maybeTwice++
      sending.counted = 'maybe-twice'
    }
  }

  /** The next event that may be sent now, if the rate allows one. */
  #take(): Sending<Item> | undefined {
    const { ratePerSecond } = this.#options
    if (ratePerSecond === undefined) return this.#takeAny()
    const now = this.#deps.monotonic()
    if (!this.#isDue(now)) return undefined
    const found = this.#takeAny()
    if (found !== undefined) this.#nextSendMs = Math.max(this.#nextSendMs, now - rateCreditMs) + 1000 / ratePerSecond
    return found
  }

  /** Whether the rate allows a request now; otherwise the sender wakes when it does. */
  #isDue(now: number): boolean {
    if (this.#nextSendMs <= now) return true
    this.#wakeAfter(this.#nextSendMs - now)
    return false
  }

  #takeAny(): Sending<Item> | undefined {
    return this.#ready.shift() ?? this.#takeWaiting() ?? this.#takeNew()
  }

  #takeWaiting(): Sending<Item> | undefined {
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
      const sending: Sending<Item> = { item, failures: 0, maybeProcessed: false, counted: 'nothing' }
      if (item.key === undefined) return sending
      const others = this.#keys.get(item.key)
      if (others === undefined) {
        this.#keys.set(item.key, [])
        return sending
      }
      others.push(sending)
    }
  }

  #onResult(sending: Sending<Item>, result: LaneResult, { url, lane }: AnswerContext<Item>): void {
    if (result.kind === 'unanswered') {
      const { fate, error } = result
      if (this.#isStopped) return
      // A gateway that refuses the certificate has not passed the event on.
      if (fate !== 'maybe-processed' || error instanceof ClientCertificateRefusedError) this.#ready.push(sending)
      else this.#retry(sending, error !== undefined && isPassing(error) ? error : undefined, true)
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
        this.#retry(sending, answered.error, answered.mayBeProcessed, result.retryAfterMs)
        break
      case 'fatal':
        if (lane.isResumed) {
          // The server may have lost the client certificate of the session.
          this.#ready.push(sending)
          lane.forgetSession()
          lane.retire()
        } else if (answered.error instanceof ClientCertificateRefusedError) {
          this.#ready.push(sending)
          this.#onRefused(answered.error, lane)
        } else this.#fail(answered.error)
        break
      case 'misplaced':
        if (!lane.hasPipelined) {
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

  #settle({ item }: Sending<Item>, outcome: Outcome): void {
    this.#unsettled--
    if (item.key !== undefined) this.#freeKey(item.key)
    this.#trouble.end(outcome.kind !== 'rejected')
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

  /** @param retryAfterMs how long the server asks to wait */
  #retry(sending: Sending<Item>, error: KyconnectError | undefined, maybeProcessed: boolean, retryAfterMs = 0): void {
    sending.failures++
    sending.maybeProcessed ||= maybeProcessed
    const now = this.#deps.monotonic()
    if (error !== undefined && !this.#noteTrouble(error, now)) return
    const pauseMs = Math.max(this.#pauseMs(sending.failures), Math.min(retryAfterMs, longestPauseMs))
    const dueMs = now + pauseMs
    let place = this.#waiting.length
    while (place > 0 && (this.#waiting[place - 1]?.dueMs ?? 0) > dueMs) place--
    this.#waiting.splice(place, 0, { sending, dueMs })
    this.#wakeAfter(pauseMs)
  }

  /** Notes a failure after which it may help to try again. Ends the run when nothing has succeeded for too long. @returns whether to go on */
  #noteTrouble(error: KyconnectError, now: number): boolean {
    if (this.#isStopped) return false
    if (this.#trouble.note(error, now)) return true
    this.#fail(error)
    return false
  }

  /** Full jitter, so that the events of a connection that broke are not sent again all at once. */
  #pauseMs(failures: number): number {
    const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 20))
    return firstPauseMs + this.#deps.random() * (longest - firstPauseMs)
  }

  /** Wakes the sender after a time, and at the latest when failures have lasted too long. */
  #wakeAfter(milliseconds: number): void {
    const now = this.#deps.monotonic()
    const untilLimitMs = this.#trouble.untilLimitMs(now) ?? 0
    const waitMs = Math.max(1, Math.min(milliseconds, longestTimerMs, untilLimitMs > 0 ? untilLimitMs : Infinity))
    const atMs = now + waitMs
    if (atMs >= this.#timerMs) return
    this.#cancelTimer?.()
    this.#timerMs = atMs
    this.#cancelTimer = this.#deps.after(waitMs, () => {
      this.#timerMs = Infinity
      this.#cancelTimer = undefined
      this.#endIfTooLong()
      this.wake()
    })
  }

  /** Ends the run in the middle of a pause. An answer that is still awaited may end the trouble, though. */
  #endIfTooLong(): void {
    const untilLimitMs = this.#trouble.untilLimitMs(this.#deps.monotonic())
    if (untilLimitMs !== undefined && untilLimitMs <= 0 && !this.#awaitsAnswers()) this.#fail(this.#trouble.lastError)
  }
}

/** Whether the next connection may succeed. */
function isPassing(error: KyconnectError): boolean {
  return error instanceof NetworkError || error instanceof TimeoutError || error instanceof AnswerMalformedError
}
