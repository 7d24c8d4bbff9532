/** Requests that may be unanswered on one connection. */
export const maxWindow = 16

/** Connections that lose pipelined requests before the server is no longer trusted with them. */
const maxDrops = 2

/**
 * Whether a server answers requests that are sent before the answers to earlier ones (RFC 9112, section 9.3.2). Some do not, and drop them.
 * The lanes to one server share one of these, because it is a fact about the server.
 */
export class Pipelining {
  readonly #onGivenUp: () => void
  #drops = 0
  #isGivenUp = false

  /** @param onGivenUp called once, when pipelining is given up: from then on each lane sends one request at a time */
  constructor(onGivenUp: () => void) {
    this.#onGivenUp = onGivenUp
  }

  /** Requests that may be unanswered on one connection. */
  get window(): number {
    return this.#isGivenUp ? 1 : maxWindow
  }

  /**
   * A connection that had answered single requests ended, or fell silent, when it was sent several together. The second time, pipelining is
   * given up.
   */
  reportDrop(): void {
    if (++this.#drops >= maxDrops) this.giveUp()
  }

  /** For an owner that sees an answer which belongs to another request: it must close that lane as well. */
  giveUp(): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    this.#onGivenUp()
  }
}
