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

/** Who uses a lane. Of its calls to the lane only `close` calls it back. */
export interface LaneOwner<Token> {
  /** Takes the result of a request; called once for each, in the order in which they were sent. */
  onResult(token: Token, result: LaneResult): void
  /** The lane takes requests now, `capacity` of them; called again after answers have arrived. */
  onCapacity(): void
  /**
   * The lane has ended, and all results have been given. Called once.
   * @param error undefined if the server closed an idle connection, or announced that it closes, or `close` was called
   */
  onEnd(error: KyconnectError | undefined): void
}

export interface LaneDeps {
  /** Shared by the lanes to one server. */
  readonly pipelining: Pipelining
  /** Takes the lines of --verbose; undefined without that flag. */
  readonly trace: ((line: string) => void) | undefined
  /** When aborted, ends the lane with its reason. */
  readonly signal: AbortSignal
}

interface Queued<Token> {
  readonly token: Token
  readonly body: Uint8Array
}

/** What Node reports no error for: the server ended the connection, and still owes answers. */
class ConnectionEnded extends Error {
  readonly code = 'ECONNRESET'
}

/**
 * One connection to a server that sends POSTs of JSON to one URL, the next ones before the earlier ones are answered (pipelining). It connects
 * at once. A lane that has ended is not used again: its owner makes another one, with the client certificate as it is then.
 *
 * First it sends one request, and after its answer two together, then four, until sixteen together were answered. In between it waits for
 * all answers of a round, because a server that drops the second of two requests, and answers the third, would seem to have answered the
 * second. From then on it keeps up to sixteen unanswered.
 *
 * The route's time limit is for connecting, and for each answer since the one before. HTTP is written and read by this folder, because
 * undici takes four times as much CPU for a request.
 */
export class Lane<Token> {
  readonly #route: Route
  readonly #owner: LaneOwner<Token>
  readonly #deps: LaneDeps
  readonly #exchange: Exchange
  readonly #head: Buffer
  readonly #parser: AnswerParser
  #socket: TLSSocket | undefined
  #isResumed = false
  #ended = false
  /** The server answers no more requests on this connection. */
  #isClosing = false
  #window = 1
  /** A whole window of `maxWindow` requests was answered. */
  #isProven = false
  /** How many requests were written together, in the last round before the proof. */
  #roundSize = 0
  /** Taken by `send`, and written at the end of this turn of the event loop. */
  #queue: Queued<Token>[] = []
  #writing: NodeJS.Immediate | undefined
  readonly #unanswered: Queued<Token>[] = []
  #answered = 0

  constructor(route: Route, url: URL, owner: LaneOwner<Token>, deps: LaneDeps) {
    this.#route = route
    this.#owner = owner
    this.#deps = deps
    // Every lane listens to the signal: more than ten are not a leak.
    setMaxListeners(0, deps.signal)
    const target = resolveTarget(route, url)
    this.#exchange = new Exchange(target, route.timeoutMs, deps.signal)
    this.#head = postHead(target.url)
    this.#parser = new AnswerParser(this.#takeAnswer)
    connectTls(route, target, this.#exchange.signal, { onData: this.#read }).then(this.#open, this.#fail)
  }

  /** How many more requests it takes now. */
  get capacity(): number {
    if (this.#socket === undefined || this.#isClosing || this.#ended) return 0
    if (!this.#isProven && this.#unanswered.length > 0) return 0
    return Math.max(0, this.#currentWindow - this.pending)
  }

  /** Requests that it has taken, and given no result for. */
  get pending(): number {
    return this.#unanswered.length + this.#queue.length
  }

  /** Whether the connection resumed the TLS session of an earlier one: the client certificate was not sent again. */
  get isResumed(): boolean {
    return this.#isResumed
  }

  /**
   * Sends a POST, at the end of this turn of the event loop. Not to be called when the capacity is 0.
   * @param body not to be changed before the result is known
   */
  send(body: Uint8Array, token: Token): void {
    if (this.capacity === 0) throw new Error('the lane takes no request now')
    this.#queue.push({ token, body })
    this.#writing ??= setImmediate(this.#write)
  }

  /** Ends the connection now. Requests that are still pending get their results before this returns. */
  close(): void {
    this.#end(undefined, 'maybe-processed')
  }

  /** Ends the connection as `close` does, and has the next one present the client certificate again. */
  closeSession(): void {
    forgetSession(this.#route, this.#exchange.target)
    this.close()
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
    } else this.#exchange.restartTimeout()
    // Half a window at a time: one write for eight requests costs much less than eight, and the server has the other half to work on.
    if (this.capacity > 0 && this.capacity >= this.pending) this.#owner.onCapacity()
  }

  readonly #takeAnswer = ({ status, contentType, connection }: AnswerHead, body: Buffer): boolean => {
    const request = this.#unanswered.shift()
    if (request === undefined) throw notRequested()
    this.#answered++
    // Before the result is given: the owner is not to send more because of it.
    this.#isClosing = connection !== 'stays'
    this.#owner.onResult(request.token, { kind: 'answered', status, contentType, body })
    if (this.#isClosing) this.#end(undefined, connection === 'closes' ? 'not-processed' : 'maybe-processed')
    return !this.#ended
  }

  /** After a round: doubles the window, if the round has filled it. */
  #widen(): void {
    if (this.#isProven || this.#roundSize < this.#currentWindow) return
    if (this.#window === maxWindow) this.#isProven = true
    else this.#window *= 2
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
    if (isBroken && !this.#isProven && this.#roundSize > 1 && this.#unanswered.length > 0)
      this.#deps.pipelining.reportDrop()
    // An idle connection may be closed at any time.
    const isIdle = this.#answered > 0 && this.pending === 0
    this.#end(isBroken && isIdle ? undefined : error, 'maybe-processed')
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
