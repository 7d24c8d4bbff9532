/** Requests that may be unanswered on one connection, once the server has answered enough of them. */
export const maxWindow = 16

/**
 * Answers on one connection after which it has shown that its peer serves pipelined requests: 1, 2, 4, 8 and 16 requests were answered, and
 * the connection is full.
 */
const answersOfProof = 2 * maxWindow

/** Connections that end too early before the peer is no longer trusted with pipelined requests. */
const maxDrops = 2

/**
 * Whether a server answers requests that are sent before the answers to earlier ones (RFC 9112, section 9.3.2). Some do not, and drop them.
 * The lanes to one server share one of these, because it is a fact about the server.
 */
export class Pipelining {
  readonly #onGivenUp: () => void
  #drops = 0

  /** @param onGivenUp called once, when the server has dropped pipelined requests twice: from then on each lane sends one at a time */
  constructor(onGivenUp: () => void) {
    this.#onGivenUp = onGivenUp
  }

  /** Requests that may be unanswered on one connection. */
  get window(): number {
    return this.#drops < maxDrops ? maxWindow : 1
  }

  /**
   * Judges a connection that ended, or fell silent, without an announcement while pipelined requests were unanswered. If it worked for long
   * before, something else ended it: a restart, for instance.
   * @param answers the requests that were answered on it
   */
  judge(answers: number): void {
    if (answers === 0 || answers >= answersOfProof) return
    this.#drops++
    if (this.#drops === maxDrops) this.#onGivenUp()
  }
}
