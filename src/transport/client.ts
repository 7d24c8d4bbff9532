import { setMaxListeners } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { AnswerMalformedError, KyconnectError } from '../errors.js'
import { type Redactor, stripControl } from '../redaction.js'
import type { Answer, Request, StreamedAnswer } from './answer.js'
import { Exchange } from './exchange.js'
import { translateFailure } from './failure.js'
import { Pools } from './pools.js'
import { redirectRefused, showRedirect } from './redirect-refused.js'
import { mayRetry, maxAttempts, pauseMs, type Retry } from './retry.js'
import { type Route, resolveTarget, type Target } from './route.js'
import { userAgent } from './user-agent.js'

export interface TransportDeps {
  readonly redactor: Redactor
  /** Takes the lines of --verbose; undefined without that flag. */
  readonly trace: ((line: string) => void) | undefined
  /** When aborted, ends all running requests with its reason. */
  readonly signal: AbortSignal
  /** Milliseconds on a monotonic clock. */
  readonly now: () => number
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

/** Bytes of an answer that is read completely, unless its request allows another number. Most real ones have less than 4 KiB. */
const maxBodyBytes = 1024 * 1024
/** Bytes and milliseconds of an answer that is passed on as it arrives. */
const maxStreamBytes = 1024 * 1024 * 1024
const maxStreamMs = 60 * 60 * 1000
const maxRedirects = 5
const maxTracedChars = 2000

/** One HTTPS client on undici: every exchange with a service, and with a cluster, goes through here. Requests may run at the same time. */
export class HttpClient {
  readonly #route: Route
  readonly #deps: TransportDeps
  readonly #pools: Pools

  constructor(route: Route, deps: TransportDeps) {
    this.#route = route
    this.#deps = deps
    this.#pools = new Pools(route, deps.trace)
    // Every request under way listens to the signal: more than ten are not a leak.
    setMaxListeners(0, deps.signal)
  }

  /**
   * Sends a request and reads the whole answer. `onStatus` is called with each status as soon as it arrives: a status may matter (a 201
   * consumes a token) even when the rest of the answer is lost. Redirects are not followed.
   * @throws NetworkError, TimeoutError, ServerCertificateError, ClientCertificateRefusedError, AnswerMalformedError
   */
  async send(request: Request, retry: Retry, onStatus?: (status: number) => void): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      let status: number | undefined
      let outcome: Omit<Answer, 'attempts'> | KyconnectError
      try {
        outcome = await this.#once(request, (seen) => {
          status = seen
          onStatus?.(seen)
        })
      } catch (error) {
        if (!(error instanceof KyconnectError)) throw error
        outcome = error
      }
      if (attempt >= maxAttempts || !mayRetry(retry, status, outcome)) {
        if (outcome instanceof KyconnectError) throw outcome
        return { ...outcome, attempts: attempt }
      }
      this.#deps.trace?.(`* sending it again (attempt ${attempt + 1} of ${maxAttempts})`)
      await this.#deps.sleep(pauseMs(attempt), request.signal ?? this.#deps.signal)
    }
  }

  /**
   * Sends a request and passes the answer on as it arrives. Redirects of GET and HEAD are followed within the same origin, after the
   * NodePort is substituted; any other redirect is returned with the reason. The body fails with TimeoutError when nothing arrives for
   * the route's time limit; with `idle: 'forever'` it may pause (a watch).
   * @throws as send
   */
  async stream(request: Request, idle: 'limited' | 'forever' = 'limited'): Promise<StreamedAnswer> {
    let url = request.url
    for (let hop = 0; ; hop++) {
      const answer = await this.#streamOnce({ ...request, url }, idle)
      const location = locationOf(answer.headers)
      if (answer.status < 300 || answer.status > 399 || location === undefined) return answer
      const next = this.#follow(request.method, answer.url, location, hop)
      if (!(next instanceof URL)) return { ...answer, notFollowed: next }
      await discard(answer.body)
      url = next
    }
  }

  /** Ends all connections at once. */
  close(): Promise<void> {
    return this.#pools.close()
  }

  /** Where a redirect leads, or why it is not followed. */
  #follow(method: string, from: URL, location: string, hop: number): URL | KyconnectError {
    const shown = showRedirect(location, this.#deps.redactor)
    if (!/^(GET|HEAD)$/.test(method)) {
      return new AnswerMalformedError(
        `${from.origin} redirects the ${method} to ${shown}: only GET and HEAD are followed`,
        { hints: ['send the request to that path'] },
      )
    }
    if (!URL.canParse(location, from.href))
      return new AnswerMalformedError(`${from.origin} redirects to something that is not a URL: ${shown}`)
    const to = resolveTarget(this.#route, new URL(location, from.href)).url
    if (to.origin !== from.origin) return redirectRefused(from.origin, location, this.#deps.redactor)
    if (hop >= maxRedirects)
      return new AnswerMalformedError(`${from.origin} redirects more than ${maxRedirects} times in a row`)
    return to
  }

  async #once(request: Request, onStatus: (status: number) => void): Promise<Omit<Answer, 'attempts'>> {
    const exchange = this.#begin(request)
    const { target } = exchange
    const { maxAnswerBytes = maxBodyBytes } = request
    try {
      const { statusCode, headers, body } = await this.#dispatch(request, exchange)
      onStatus(statusCode)
      exchange.phase = 'reading the answer'
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of body) {
        if (!(chunk instanceof Uint8Array)) continue
        size += chunk.length
        if (size > maxAnswerBytes) throw tooLarge(target, maxAnswerBytes)
        chunks.push(chunk)
      }
      const text = Buffer.concat(chunks).toString('utf8')
      // Tokens are in small answers. In a larger one, a hostile server could make every later text slow to redact.
      this.#deps.redactor.learn(text.slice(0, maxBodyBytes))
      this.#traceBody(text)
      return { status: statusCode, contentType: contentTypeOf(headers), body: text, url: target.url }
    } catch (error) {
      throw translateFailure(error, this.#route, exchange)
    } finally {
      exchange.end()
    }
  }

  async #streamOnce(request: Request, idle: 'limited' | 'forever'): Promise<StreamedAnswer> {
    const exchange = this.#begin(request)
    try {
      const { statusCode, headers, body } = await this.#dispatch(request, exchange)
      return {
        status: statusCode,
        headers,
        contentType: contentTypeOf(headers),
        body: this.#passOn(body, exchange, idle),
        url: exchange.target.url,
      }
    } catch (error) {
      exchange.end()
      throw translateFailure(error, this.#route, exchange)
    }
  }

  async *#passOn(body: Readable, exchange: Exchange, idle: 'limited' | 'forever'): AsyncGenerator<Uint8Array> {
    const end = this.#deps.now() + maxStreamMs
    let size = 0
    exchange.phase = 'reading the answer'
    const restart = (): void => {
      if (idle === 'limited') exchange.restartTimeout()
      else exchange.pauseTimeout()
    }
    restart()
    try {
      for await (const chunk of body) {
        if (!(chunk instanceof Uint8Array)) continue
        size += chunk.length
        if (size > maxStreamBytes) throw tooLarge(exchange.target, maxStreamBytes)
        if (this.#deps.now() > end) throw exchange.timeoutError()
        exchange.pauseTimeout()
        yield chunk
        restart()
      }
    } catch (error) {
      throw translateFailure(error, this.#route, exchange)
    } finally {
      exchange.end()
    }
  }

  #begin({ url, signal = this.#deps.signal }: Request): Exchange {
    return new Exchange(resolveTarget(this.#route, url), this.#route.timeoutMs, signal)
  }

  async #dispatch(request: Request, exchange: Exchange): Promise<Dispatcher.ResponseData> {
    const { url } = exchange.target
    const pool = await this.#pools.of(exchange)
    exchange.signal.throwIfAborted()
    this.#deps.trace?.(`> ${request.method} ${this.#deps.redactor.redact(withoutCredentials(url))}`)
    const started = this.#deps.now()
    const { body = null } = request
    const options: Dispatcher.RequestOptions = {
      path: `${url.pathname}${url.search}`,
      method: request.method,
      headers: { 'user-agent': userAgent, accept: 'application/json, */*;q=0.5', ...request.headers },
      body: body instanceof Readable ? Readable.from(restartTimeoutPerChunk(body, request.bodySource, exchange)) : body,
      signal: exchange.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
      onInfo: ({ statusCode }) => {
        exchange.checkInterim(statusCode)
      },
    }
    this.#pools.assign(options, exchange)
    const response = await pool.request(options)
    this.#deps.trace?.(
      `< ${response.statusCode} ${stripControl(contentTypeOf(response.headers)).slice(0, 200)} (${Math.round(this.#deps.now() - started)} ms)`,
    )
    return response
  }

  #traceBody(text: string): void {
    if (this.#deps.trace === undefined || text === '') return
    // Cut before it is redacted, with room for a token at the edge. Indented, so that no line of a body looks like one of ours.
    const beginning = stripControl(this.#deps.redactor.redact(text.slice(0, 2 * maxTracedChars)))
    const shown = beginning.trimEnd().replaceAll('\n', '\n  ')
    this.#deps.trace(shown.length > maxTracedChars ? `  ${shown.slice(0, maxTracedChars)}…` : `  ${shown}`)
  }
}

/**
 * Restarts the time limit with each chunk of a body, so that it runs out only when sending stalls. While a chunk is awaited, a time-out is
 * the fault of the body's source, not of the server.
 */
async function* restartTimeoutPerChunk(
  body: Readable,
  source = 'the source of the body',
  exchange: Exchange,
): AsyncGenerator {
  exchange.awaitedSource = source
  for await (const chunk of body) {
    exchange.awaitedSource = undefined
    exchange.restartTimeout()
    yield chunk
    exchange.awaitedSource = source
  }
  exchange.awaitedSource = undefined
}

function tooLarge({ url }: Target, bytes: number): AnswerMalformedError {
  return new AnswerMalformedError(`the answer from ${url.host} is larger than ${bytes / 1024 / 1024} MiB`, {
    reason: 'TOO_LARGE',
    hints: ['check the URL'],
  })
}

function contentTypeOf(headers: IncomingHttpHeaders): string {
  const type: unknown = headers['content-type']
  return typeof type === 'string' ? type.toLowerCase() : ''
}

/** Of several, the first: undici gives a header that is repeated as a list, whatever the types say. */
function locationOf(headers: IncomingHttpHeaders): string | undefined {
  const location: unknown = [headers.location].flat()[0]
  return typeof location === 'string' ? location : undefined
}

/** A URL as it may be shown: a kubeconfig may have put credentials in front of the host. */
function withoutCredentials({ href, username, password }: URL): string {
  if (username === '' && password === '') return href
  const shown = new URL(href)
  shown.username = ''
  shown.password = ''
  return shown.href
}

async function discard(body: AsyncIterable<Uint8Array>): Promise<void> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBodyBytes) break
  }
}
