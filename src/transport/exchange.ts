import { AnswerMalformedError, type KyconnectError, TimeoutError } from '../errors.js'
import type { Target } from './route.js'

export type Phase = 'connecting' | 'waiting for the answer' | 'reading the answer'

/** One request and its answer, with a time limit, the callers' abort signals, and the first error of its socket. */
export class Exchange {
  readonly target: Target
  phase: Phase = 'connecting'
  /** The first error of the socket. undici reports only the last one, which hides an alert that refuses a certificate: the connection ends after it. */
  socketError: Error | undefined
  /** What the next part of the request's body is awaited from; undefined while none is. */
  awaitedSource: string | undefined
  readonly #controller = new AbortController()
  readonly #timeoutMs: number
  readonly #outer: readonly AbortSignal[]
  #timer: NodeJS.Timeout | undefined

  constructor(target: Target, timeoutMs: number, ...outer: readonly AbortSignal[]) {
    this.target = target
    this.#timeoutMs = timeoutMs
    this.#outer = outer
    for (const signal of outer) signal.addEventListener('abort', this.#abort, { once: true })
    if (outer.some(({ aborted }) => aborted)) this.#abort()
    this.restartTimeout()
  }

  /** Aborted by the time limit, by the caller, or by `fail`; its reason is the error that the exchange ends with. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether any of the request may have reached the server. */
  get requestSent(): boolean {
    return this.phase !== 'connecting'
  }

  restartTimeout(): void {
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => {
        this.fail(this.timeoutError())
      }, this.#timeoutMs)
    } else this.#timer.refresh()
  }

  pauseTimeout(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  fail(error: KyconnectError): void {
    this.#controller.abort(error)
  }

  end(): void {
    this.pauseTimeout()
    for (const signal of this.#outer) signal.removeEventListener('abort', this.#abort)
  }

  timeoutError(): TimeoutError {
    if (this.awaitedSource !== undefined && this.phase !== 'reading the answer')
      return this.#silentSource(this.awaitedSource)
    const { url, address, port, proxy } = this.target
    return new TimeoutError(`${url.host} timed out after ${this.#timeoutMs / 1000} s while ${this.phase}`, {
      hints:
        this.phase === 'connecting'
          ? [
              proxy === null
                ? `check that ${address}:${port} can be reached from this machine (address, port, firewall)`
                : `check that the proxy ${proxy.hostname} is up and may connect to ${address}:${port}`,
              'wait longer with --timeout <seconds>',
            ]
          : ['try again later, or wait longer with --timeout <seconds>'],
      reason: 'TIMEOUT',
      target: { host: url.hostname, address, port },
      requestSent: this.requestSent,
      details: { phase: this.phase },
    })
  }

  #silentSource(source: string): TimeoutError {
    return new TimeoutError(`${source} timed out: nothing arrived from it for ${this.#timeoutMs / 1000} s`, {
      hints: ['check the program that writes to it', 'or wait longer with --timeout <seconds>'],
      reason: 'TIMEOUT',
      requestSent: this.requestSent,
      details: { phase: 'reading the body of the request', source },
    })
  }

  /** Ends the exchange on a status that HTTP does not have: undici takes anything below 200 for an interim answer, and goes on waiting. */
  checkInterim(status: number): void {
    if (status >= 100) return
    this.fail(notHttp(this.target, `status ${String(status).padStart(3, '0')}`))
  }

  readonly #abort = (): void => {
    this.#controller.abort(this.#outer.find(({ aborted }) => aborted)?.reason)
  }
}

/** The error for a server that does not speak HTTP. */
export function notHttp(target: Target, problem: string, cause?: unknown): AnswerMalformedError {
  return new AnswerMalformedError(`the answer from ${target.url.host} is not valid HTTP: ${problem}`, {
    cause,
    reason: 'NOT_HTTP',
    target: { host: target.url.hostname, address: target.address, port: target.port },
    hints: ['check the address and port, and what runs there'],
  })
}
