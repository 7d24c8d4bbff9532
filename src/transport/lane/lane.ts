import { setMaxListeners } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { type KyconnectError, NetworkError, TimeoutError } from '../../errors.js'
import { Exchange, notHttp } from '../exchange.js'
import { translateFailure } from '../failure.js'
import { type Route, resolveTarget } from '../route.js'
import { connectTls, forgetSession } from '../tls.js'
import { type AnswerHead, MalformedAnswer } from './answer-head.js'
import { AnswerParser } from './answer-parser.js'
import { maxWindow, type Pipelining } from './pipelining.js'
import { joinPosts, postHead } from './posts.js'

/** What became of one request. */
export type LaneResult =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** Lower case; empty when there is none. */
      readonly contentType: string
      /** A view of the bytes that arrived: to keep a part of it for long, copy that part. */
      readonly body: Buffer
      /** How long the server asks to wait before the next request; undefined when it does not. */
      readonly retryAfterMs: number | undefined
    }
  | {
      readonly kind: 'unanswered'
      readonly fate: Fate
      /** Why the lane ended; undefined if the server announced it, or `close` was called. */
      readonly error: KyconnectError | undefined
    }

/**
 * Whether the service can have processed a request that was not answered: `unsent`: no byte of it was written; `not-processed`: it was
 * written, but the server announced before that it processes nothing more on this connection (RFC 9112, section 9.6; NGINX does so every 100
 * to 1,000 requests); `maybe-processed`: it was written, and nothing else is known.
 */
export type Fate = 'unsent' | 'not-processed' | 'maybe-processed'

/** What uses a lane. Of the lane's methods, only `close` calls the owner back. */
export interface LaneOwner<Token> {
  /** Takes the result of a request. Called once for each request, in the order in which they were sent. */
  onResult(token: Token, result: LaneResult): void
  /** The lane takes `capacity` requests now. Called when it is connected, and again after answers have arrived. */
  onCapacity(): void
  /**
   * The lane has ended, and all results have been given. Called once.
   * @param error undefined if the server closed an idle connection or announced that it closes, or if the owner ended the lane
   */
  onEnd(error: KyconnectError | undefined): void
}

export interface LaneDeps {
  /** Shared by the lanes to one server. */
  readonly pipelining: Pipelining
  /** Milliseconds on a monotonic clock. */
  readonly monotonic: () => number
  /** Takes the lines of --verbose; undefined without that flag. */
  readonly trace: ((line: string) => void) | undefined
  /** When aborted, ends the lane with its reason. */
  readonly signal: AbortSignal
}

interface Queued<Token> {
  readonly token: Token
  readonly body: Uint8Array
}

/** Milliseconds after a write from which on another one costs little in comparison. */
const slowWriteMs = 10

/** The server ended the connection while it still owed answers; Node reports no error for that. */
class ConnectionEnded extends Error {
  readonly code = 'ECONNRESET'
}

/**
 * One connection to a server. It sends POSTs of JSON to one URL, the next ones before the earlier ones are answered (pipelining). It connects
 * at once. A lane that has ended cannot be used again: its owner opens another one, with the client certificate as it is then.
 *
 * First it sends one request, after the answer two together, then four, until sixteen together have been answered. Until then it waits for
 * all answers of a round, because a server that drops the second of two requests, and answers the third, would seem to have answered the
 * second. From then on it keeps up to sixteen unanswered.
 *
 * The route's time limit applies to connecting, and to each answer since the one before. This folder writes and reads HTTP itself, because
 * undici takes four times as much CPU for a request.
 */
export class Lane<Token> {
  readonly #route: Route
  readonly #owner: LaneOwner<Token>
  readonly #deps: LaneDeps
  readonly #exchange: Exchange
  readonly #head: Buffer
  readonly #parser: AnswerParser
  /** Of `Pipelining`, when this lane was opened. */
  readonly #era: number
  #socket: TLSSocket | undefined
  #isResumed = false
  #ended = false
  /** The server answers no more requests on this connection. */
  #isClosing = false
  #isRetired = false
  #window = 1
  /** A whole window of `maxWindow` requests was answered. */
  #isProven = false
  /** How many requests were written together in the last round. */
  #roundSize = 0
  #hasPipelined = false
  /** Taken by `send`, and written at the end of this turn of the event loop. */
  #queue: Queued<Token>[] = []
  #writing: NodeJS.Immediate | undefined
  /** When the last requests were written. */
  #writtenMs = -Infinity
  readonly #unanswered: Queued<Token>[] = []
  #answered = 0

  constructor(route: Route, url: URL, owner: LaneOwner<Token>, deps: LaneDeps) {
    this.#route = route
    this.#owner = owner
    this.#deps = deps
    this.#era = deps.pipelining.era
    // Every lane listens to the signal: more than ten are not a leak.
    setMaxListeners(0, deps.signal)
    const target = resolveTarget(route, url)
    this.#exchange = new Exchange(target, route.timeoutMs, deps.signal)
    this.#head = postHead(target.url)
    this.#parser = new AnswerParser(this.#takeAnswer)
    connectTls(route, target, this.#exchange.signal, { onData: this.#read }).then(this.#open, this.#fail)
  }

  get route(): Route {
    return this.#route
  }

  /** How many more requests it takes now. */
  get capacity(): number {
    if (this.#socket === undefined || this.#isClosing || this.#isRetired || this.#ended) return 0
    if (!this.#isProven && this.#unanswered.length > 0) return 0
    return Math.max(0, this.#currentWindow - this.pending)
  }

  /** How many requests it has taken and not given a result for. */
  get pending(): number {
    return this.#unanswered.length + this.#queue.length
  }

  /** Whether the connection resumed the TLS session of an earlier one: the client certificate was not sent again. */
  get isResumed(): boolean {
    return this.#isResumed
  }

  /** Whether it has ever sent a request before the one before was answered. If not, an answer cannot belong to another request of this lane. */
  get hasPipelined(): boolean {
    return this.#hasPipelined
  }

  /**
   * Sends a POST at the end of this turn of the event loop. Not to be called when the capacity is 0.
   * @param body not to be changed before the result is known
   */
  send(body: Uint8Array, token: Token): void {
    if (this.capacity === 0) throw new Error('the lane cannot take a request now')
    this.#queue.push({ token, body })
    this.#writing ??= setImmediate(this.#write)
  }

  /** Takes no more requests. The connection ends, in a later turn of the event loop, once those that are pending are answered. */
  retire(): void {
    this.#isRetired = true
    if (this.pending > 0) return
    setImmediate(() => {
      this.close()
    })
  }

  /** Ends the connection now. Requests that are still pending get their results before this returns. */
  close(): void {
    this.#end(undefined, 'maybe-processed')
  }

  /** Has the next connection begin a new TLS session, in which it presents the client certificate again. */
  forgetSession(): void {
    forgetSession(this.#route, this.#exchange.target)
  }

  readonly #open = (socket: TLSSocket): void => {
    const { signal, target } = this.#exchange
    socket.on('error', this.#fail)
    if (this.#ended || signal.aborted) {
      socket.destroy()
      this.#fail(signal.reason)
      return
    }
    this.#socket = socket
    this.#isResumed = socket.isSessionReused()
    this.#exchange.phase = 'waiting for the answer'
    this.#exchange.pauseTimeout()
    signal.addEventListener('abort', this.#abort, { once: true })
    socket.setNoDelay(true)
    socket.on('end', this.#endedByServer)
    socket.on('close', this.#endedByServer)
    const through = target.proxy === null ? '' : ` through the proxy ${target.proxy.host}`
    this.#deps.trace?.(`* connected to ${target.address}:${target.port}${through}, ${socket.getProtocol() ?? 'TLS'}`)
    this.#owner.onCapacity()
  }

  /** The point of no return for what is queued: from here on, the service may have processed it. */
  readonly #write = (): void => {
    this.#writing = undefined
    const queue = this.#queue
    this.#queue = []
    this.#roundSize = queue.length
    this.#writtenMs = this.#deps.monotonic()
    if (queue.length > 1 || this.#unanswered.length > 0) this.#hasPipelined = true
    if (this.#unanswered.length === 0) this.#exchange.restartTimeout()
    for (const request of queue) this.#unanswered.push(request)
    this.#socket?.write(
      joinPosts(
        this.#head,
        queue.map(({ body }) => body),
      ),
    )
  }

  readonly #read = (chunk: Buffer): void => {
    const answered = this.#answered
    try {
      this.#parser.push(chunk)
      // Checked before anything more is written: the rest of such an answer would seem to answer the next request.
      if (this.#unanswered.length === 0 && this.#parser.isWithinAnswer) throw notRequested()
    } catch (error) {
      if (!(error instanceof MalformedAnswer)) throw error
      this.#fail(notHttp(this.#exchange.target, error.message, error))
    }
    if (this.#ended) return
    this.#exchange.phase = this.#parser.isWithinAnswer ? 'reading the answer' : 'waiting for the answer'
    if (this.#answered === answered) return
    if (this.#unanswered.length === 0) {
      this.#exchange.pauseTimeout()
      this.#widen()
      if (this.#isRetired && this.pending === 0) {
        this.close()
        return
      }
    } else this.#exchange.restartTimeout()
    if (this.#shouldRefill()) this.#owner.onCapacity()
  }

  /**
   * Half a window at a time: one write for eight requests costs much less than eight, and the server has the other half to work on. Where
   * answers come slowly, writes cost little, and a full window on each connection lets all of them end together.
   */
  #shouldRefill(): boolean {
    const { capacity } = this
    if (capacity === 0) return false
    return capacity >= this.pending || this.#deps.monotonic() - this.#writtenMs >= slowWriteMs
  }

  readonly #takeAnswer = ({ status, contentType, retryAfterMs, connection }: AnswerHead, body: Buffer): boolean => {
    const request = this.#unanswered.shift()
    if (request === undefined) throw notRequested()
    this.#answered++
    // Set before the result is given, so that the owner does not send more because of it.
    this.#isClosing = connection !== 'stays'
    this.#owner.onResult(request.token, { kind: 'answered', status, contentType, body, retryAfterMs })
    if (this.#isClosing) this.#end(undefined, connection === 'closes' ? 'not-processed' : 'maybe-processed')
    return !this.#ended
  }

  /** Doubles the window after a round that has filled it. */
  #widen(): void {
    if (this.#isProven || this.#roundSize < this.#currentWindow) return
    if (this.#window < maxWindow) {
      this.#window *= 2
      return
    }
    this.#isProven = true
    // Where pipelining was given up, the round was a single request.
    if (this.#roundSize === maxWindow) this.#deps.pipelining.prove()
  }

  get #currentWindow(): number {
    return Math.min(this.#window, this.#deps.pipelining.window)
  }

  readonly #abort = (): void => {
    this.#fail(this.#exchange.signal.reason)
  }

  readonly #endedByServer = (): void => {
    this.#fail(new ConnectionEnded('the server ended the connection'))
  }

  readonly #fail = (cause: unknown): void => {
    if (this.#ended) return
    const error = translateFailure(cause, this.#route, this.#exchange)
    if (this.#isResumed) forgetSession(this.#route, this.#exchange.target)
    const isBroken = error instanceof NetworkError || error instanceof TimeoutError
    if (isBroken) this.#reportBreak()
    // An idle connection may be closed at any time, also one that was never used.
    const isIdle = this.#socket !== undefined && this.pending === 0
    this.#end(isBroken && isIdle ? undefined : error, 'maybe-processed')
  }

  #reportBreak(): void {
    const { pipelining } = this.#deps
    if (this.#socket === undefined) pipelining.reportOutage()
    else if (!this.#isProven && this.#roundSize > 1 && this.#unanswered.length > 0) pipelining.reportDrop(this.#era)
  }

  #end(error: KyconnectError | undefined, fate: Fate): void {
    if (this.#ended) return
    this.#ended = true
    clearImmediate(this.#writing)
    const { signal } = this.#exchange
    signal.removeEventListener('abort', this.#abort)
    this.#exchange.end()
    if (this.#socket === undefined) this.#exchange.fail(new NetworkError('the connection was closed'))
    else this.#socket.destroy()
    const written = this.#unanswered.splice(0)
    const queued = this.#queue.splice(0)
    for (const { token } of written) this.#owner.onResult(token, { kind: 'unanswered', fate, error })
    for (const { token } of queued) this.#owner.onResult(token, { kind: 'unanswered', fate: 'unsent', error })
    this.#owner.onEnd(error)
  }
}

function notRequested(): MalformedAnswer {
  return new MalformedAnswer('an answer without a request')
}
