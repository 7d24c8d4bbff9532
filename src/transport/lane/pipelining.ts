/** Requests that may be unanswered on one connection. */
export const maxWindow = 16

/** How many connections must lose pipelined requests, one after the other, before requests are sent one at a time. */
const maxDrops = 2

/**
 * Whether a server answers requests that are sent before the answers to earlier ones (RFC 9112, section 9.3.2). Some servers drop them. The
 * lanes to one server share one of these, because it is a fact about the server.
 */
export class Pipelining {
  readonly #onGivenUp: () => void
  #drops = 0
  #era = 0
  #isProven = false
  #isGivenUp = false

  /** @param onGivenUp called once, when pipelining is given up: from then on each lane sends one request at a time */
  constructor(onGivenUp: () => void) {
    this.#onGivenUp = onGivenUp
  }

  /** Requests that may be unanswered on one connection. */
  get window(): number {
    return this.#isGivenUp ? 1 : maxWindow
  }

  /** Changes with each drop that counts, and with each outage. A lane remembers the era in which it was opened. */
  get era(): number {
    return this.#era
  }

  /** A lane had a whole window of `maxWindow` requests answered. A connection that ends after that has another reason. */
  prove(): void {
    this.#isProven = true
  }

  /**
   * A connection that had answered single requests ended, or fell silent, when it was sent several together. The second time, pipelining is
   * given up. Connections that were open at the same time may all have ended for one other reason, such as a restart of the server, so they
   * count once.
   * @param era in which the lane was opened
   */
  reportDrop(era: number): void {
    if (this.#isProven || era !== this.#era) return
    this.#era++
    if (++this.#drops >= maxDrops) this.giveUp()
  }

  /** A connection could not be opened. Those that ended before may have ended because of the same outage. */
  reportOutage(): void {
    this.#era++
    this.#drops = 0
  }

  /** For an owner that sees an answer which belongs to another request: it must close that lane as well. */
  giveUp(): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    this.#onGivenUp()
  }
}
