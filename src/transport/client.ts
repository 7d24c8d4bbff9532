import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Client, Dispatcher } from 'undici'
import { AnswerMalformedError, KyconnectError, TimeoutError, UntrustedUrlError } from '../errors.js'
import { networkFailure } from './failure.js'
import { locate, type Route, type Target } from './route.js'
import { oneLine, type Redactor, stripControl } from '../redaction.js'
import { connectTls } from './tls.js'

/**
 * When a request may be sent again: `never`; `until-201`: as long as no answer began, or a gateway in between failed;
 * `idempotent`: likewise, and for any read. The endpoint declares it, this file alone carries it out.
 */
export type Retry = 'never' | 'until-201' | 'idempotent'

export interface Request {
  readonly method: string
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer | Readable
}

/** An answer read whole, within the limits. */
export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  /** The URL as it was called. */
  readonly url: URL
  /** How often the request was sent. */
  readonly attempts: number
}

/** An answer whose body is still to come. */
export interface StreamedAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly contentType: string
  readonly body: AsyncIterable<Uint8Array>
  readonly url: URL
  /** Of a redirect: why it was not followed. */
  readonly notFollowed?: KyconnectError
}

export interface TransportDeps {
  readonly redactor: Redactor
  /** Takes the lines of --verbose; undefined: nobody listens. */
  readonly trace: ((line: string) => void) | undefined
  /** Aborted with the error that everything under way shall end with. */
  readonly signal: AbortSignal
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

const attemptsAtMost = 3
const firstPauseMs = 200
/** Bytes of an answer that is parsed. Real ones have 4 KiB. */
const parsedBytes = 1024 * 1024
/** Bytes and milliseconds of an answer that is passed on. */
const streamedBytes = 1024 * 1024 * 1024
const streamedMs = 60 * 60 * 1000
const redirectsAtMost = 5
const tracedBody = 2000

const userAgent = 'kyconnect'

/** One HTTPS client on undici: every exchange with a service goes through here. */
export class HttpClient {
  readonly #route: Route
  readonly #deps: TransportDeps
  readonly #clients = new Map<string, Client>()
  /** There is one at a time; a connection may be opened anew within each. */
  #exchange: Exchange | undefined

  constructor(route: Route, deps: TransportDeps) {
    this.#route = route
    this.#deps = deps
  }

  /**
   * Sends a request and reads the answer whole. `onStatus` learns each status as soon as it is there: what a status means
   * (a 201 spends a token) may matter even when the rest of the answer is lost. Redirects are not followed.
   * @throws NetworkError, TimeoutError, ServerCertificateError, ClientCertificateRefusedError, AnswerMalformedError (over 1 MiB)
   */
  async send(request: Request, retry: Retry, onStatus?: (status: number) => void): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      let status: number | undefined
      try {
        const answer = await this.#once(request, (seen) => {
          status = seen
          onStatus?.(seen)
        })
        if (!mayRepeat(retry, attempt) || !gatewayFailed(answer.status)) return { ...answer, attempts: attempt }
      } catch (error) {
        const nothingCame = status === undefined && isBroken(error)
        if (!mayRepeat(retry, attempt) || !nothingCame) throw error
      }
      this.#deps.trace?.(`* sending it again (attempt ${attempt + 1} of ${attemptsAtMost})`)
      await this.#deps.sleep(firstPauseMs * attempt, this.#deps.signal)
    }
  }

  /**
   * Sends a request and hands on the answer as it comes. Redirects of GET and HEAD are followed within the same origin, the
   * NodePort substituted first; one that is not followed is handed on too, with the reason. The body fails with TimeoutError
   * when nothing comes for the route's time limit.
   * @throws as send
   */
  async stream(request: Request): Promise<StreamedAnswer> {
    let url = request.url
    for (let hop = 0; ; hop++) {
      const answer = await this.#streamOnce({ ...request, url })
      const { location } = answer.headers
      if (answer.status < 300 || answer.status > 399 || location === undefined) return answer
      const next = this.#follow(request.method, answer.url, location, hop)
      if (!(next instanceof URL)) return { ...answer, notFollowed: next }
      await discard(answer.body)
      url = next
    }
  }

  /** Ends all connections at once. */
  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.destroy()))
    this.#clients.clear()
  }

  /** Where a redirect leads, or why it is not followed. */
  #follow(method: string, from: URL, location: string, hop: number): URL | KyconnectError {
    const shown = this.#deps.redactor.redact(oneLine(location))
    if (!/^(GET|HEAD)$/.test(method)) {
      return new AnswerMalformedError(
        `${from.origin} redirects the ${method} to ${shown}; only GET and HEAD are followed`,
        { hints: ['send the request to that path'] },
      )
    }
    if (!URL.canParse(location, from.href))
      return new AnswerMalformedError(`${from.origin} redirects to what is no URL: ${shown}`)
    const to = locate(this.#route, new URL(location, from.href)).url
    if (to.origin !== from.origin) {
      return new UntrustedUrlError(`${from.origin} redirects to another place, ${shown}: not followed`, {
        hints: ['a client certificate is shown to its own gateway only', 'tell the administrator of the cluster'],
      })
    }
    if (hop >= redirectsAtMost) return new AnswerMalformedError(`${from.origin} redirects in a circle`)
    return to
  }

  async #once(request: Request, onStatus: (status: number) => void): Promise<Omit<Answer, 'attempts'>> {
    const target = locate(this.#route, request.url)
    const exchange = new Exchange(this.#deps, this.#route.timeoutMs, target)
    try {
      const { statusCode, headers, body } = await this.#dispatch(request, target, exchange)
      onStatus(statusCode)
      exchange.phase = 'reading the answer'
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of body) {
        if (!(chunk instanceof Uint8Array)) continue
        size += chunk.length
        if (size > parsedBytes) throw tooLarge(target, parsedBytes)
        chunks.push(chunk)
      }
      const text = Buffer.concat(chunks).toString('utf8')
      this.#deps.redactor.learn(text)
      this.#traceBody(text)
      return { status: statusCode, contentType: contentTypeOf(headers), body: text, url: target.url }
    } catch (error) {
      throw this.#translateError(error, exchange, target)
    } finally {
      exchange.end()
    }
  }

  async #streamOnce(request: Request): Promise<StreamedAnswer> {
    const target = locate(this.#route, request.url)
    const exchange = new Exchange(this.#deps, this.#route.timeoutMs, target)
    try {
      const { statusCode, headers, body } = await this.#dispatch(request, target, exchange)
      return {
        status: statusCode,
        headers,
        contentType: contentTypeOf(headers),
        body: this.#passOn(body, exchange, target),
        url: target.url,
      }
    } catch (error) {
      exchange.end()
      throw this.#translateError(error, exchange, target)
    }
  }

  async *#passOn(body: Readable, exchange: Exchange, target: Target): AsyncGenerator<Uint8Array> {
    const end = this.#deps.now() + streamedMs
    let size = 0
    exchange.phase = 'reading the answer'
    exchange.restart()
    try {
      for await (const chunk of body) {
        if (!(chunk instanceof Uint8Array)) continue
        size += chunk.length
        if (size > streamedBytes) throw tooLarge(target, streamedBytes)
        if (this.#deps.now() > end) throw exchange.expired()
        exchange.pause()
        yield chunk
        exchange.restart()
      }
    } catch (error) {
      throw this.#translateError(error, exchange, target)
    } finally {
      exchange.end()
    }
  }

  async #dispatch(request: Request, target: Target, exchange: Exchange): Promise<Dispatcher.ResponseData> {
    this.#exchange = exchange
    const client = await this.#client(target)
    const shown = this.#deps.redactor.redact(target.url.href)
    this.#deps.trace?.(`> ${request.method} ${shown}`)
    const started = this.#deps.now()
    const { body = null } = request
    const response = await client.request({
      path: `${target.url.pathname}${target.url.search}`,
      method: request.method,
      headers: { 'user-agent': userAgent, accept: 'application/json, */*;q=0.5', ...request.headers },
      body: body instanceof Readable ? Readable.from(restartTimeoutPerChunk(body, exchange)) : body,
      signal: exchange.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    this.#deps.trace?.(
      `< ${response.statusCode} ${stripControl(contentTypeOf(response.headers))} (${Math.round(this.#deps.now() - started)} ms)`,
    )
    return response
  }

  async #client(target: Target): Promise<Client> {
    const known = this.#clients.get(target.url.origin)
    if (known !== undefined) {
      // Its connection may have to be opened anew: that sets the phase back.
      if (this.#exchange !== undefined) this.#exchange.phase = 'waiting for the answer'
      return known
    }
    // The handshake is under way while undici loads, which takes as long: the pause lets the socket go out first.
    let first: Promise<TLSSocket> | undefined = this.#connect(target)
    first.catch(() => undefined)
    await new Promise(setImmediate)
    const { Client } = await import('undici')
    const client = new Client(target.url.origin, {
      pipelining: 1,
      connect: (_, callback) => {
        const connecting = first ?? this.#connect(target)
        first = undefined
        connecting.then(
          (socket) => {
            callback(null, socket)
          },
          (error: unknown) => {
            callback(error instanceof Error ? error : new Error(String(error)), null)
          },
        )
      },
    })
    this.#clients.set(target.url.origin, client)
    return client
  }

  async #connect(target: Target): Promise<TLSSocket> {
    const exchange = this.#exchange
    if (exchange === undefined) throw new Error('nothing is to be sent')
    exchange.phase = 'connecting'
    const socket = await connectTls(this.#route, target, exchange.signal)
    exchange.phase = 'waiting for the answer'
    // undici tells of the last error only, and after the alert that refuses a certificate comes a plain end.
    socket.on('error', (error) => {
      if (this.#exchange !== undefined) this.#exchange.socketError ??= error
    })
    this.#deps.trace?.(`* connected to ${target.address}:${target.port}, ${socket.getProtocol() ?? 'TLS'}`)
    return socket
  }

  #traceBody(text: string): void {
    if (this.#deps.trace === undefined || text === '') return
    // Indented, so that no line of a body passes for one of ours.
    const shown = stripControl(this.#deps.redactor.redact(text)).trimEnd().replaceAll('\n', '\n  ')
    this.#deps.trace(shown.length > tracedBody ? `  ${shown.slice(0, tracedBody)}…` : `  ${shown}`)
  }

  #translateError(error: unknown, exchange: Exchange, target: Target): KyconnectError {
    if (exchange.signal.aborted && exchange.signal.reason instanceof KyconnectError) return exchange.signal.reason
    if (error instanceof KyconnectError) return error
    if (
      error instanceof Error &&
      /^(HPE_|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH)/.test(String(Reflect.get(error, 'code')))
    ) {
      return new AnswerMalformedError(
        `what answers at ${target.url.host} does not speak HTTP as it should: ${error.message}`,
        {
          cause: error,
          hints: ['check the address and port'],
        },
      )
    }
    return networkFailure(exchange.socketError ?? error, this.#route, target)
  }
}

/** One request and its answer: a deadline over its phases, the outer abort signal beside it, and the first thing its socket said. */
class Exchange {
  phase = 'connecting'
  socketError: Error | undefined
  readonly #controller = new AbortController()
  readonly #milliseconds: number
  readonly #target: Target
  readonly #outer: AbortSignal
  #timer: NodeJS.Timeout | undefined

  constructor({ signal }: TransportDeps, milliseconds: number, target: Target) {
    this.#milliseconds = milliseconds
    this.#target = target
    this.#outer = signal
    if (signal.aborted) this.#abort()
    signal.addEventListener('abort', this.#abort, { once: true })
    this.restart()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  readonly #abort = (): void => {
    this.#controller.abort(this.#outer.reason)
  }

  restart(): void {
    this.pause()
    this.#timer = setTimeout(() => {
      this.#controller.abort(this.expired())
    }, this.#milliseconds)
  }

  pause(): void {
    clearTimeout(this.#timer)
  }

  end(): void {
    this.pause()
    this.#outer.removeEventListener('abort', this.#abort)
  }

  expired(): TimeoutError {
    const { url, address, port } = this.#target
    return new TimeoutError(
      `${url.host} did not answer in time: ${this.#milliseconds / 1000} s were over while ${this.phase}`,
      {
        hints: [
          this.phase === 'connecting'
            ? `check that ${address}:${port} can be reached from here (address, port, firewall), or wait longer with --timeout <seconds>`
            : 'try again later, or wait longer with --timeout <seconds>',
        ],
        target: { host: url.hostname, address, port },
        details: { phase: this.phase },
      },
    )
  }
}

/** A body as it is sent: as long as it moves, the time limit does not run out. */
async function* restartTimeoutPerChunk(body: Readable, exchange: Exchange): AsyncGenerator {
  for await (const chunk of body) {
    exchange.restart()
    yield chunk
  }
}

function mayRepeat(retry: Retry, attempt: number): boolean {
  return retry !== 'never' && attempt < attemptsAtMost
}

function gatewayFailed(status: number): boolean {
  return status === 502 || status === 503 || status === 504
}

/** A connection that was there and broke: sending again may help. One that never was, or a time limit, is told at once. */
function isBroken(error: unknown): boolean {
  const reason = error instanceof KyconnectError ? error.reason : undefined
  return reason === 'ECONNRESET' || reason === 'EPIPE' || reason === 'UND_ERR_SOCKET'
}

function tooLarge(target: Target, bytes: number): AnswerMalformedError {
  return new AnswerMalformedError(
    `the answer of ${target.url.host} is larger than ${bytes / 1024 / 1024} MiB: not read further`,
    {
      hints: ['check that the URL is the right one'],
    },
  )
}

function contentTypeOf(headers: IncomingHttpHeaders): string {
  const type: unknown = headers['content-type']
  return typeof type === 'string' ? type.toLowerCase() : ''
}

async function discard(body: AsyncIterable<Uint8Array>): Promise<void> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > parsedBytes) break
  }
}
