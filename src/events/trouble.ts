import type { KyconnectError } from '../errors.js'

/** A service that fails now and then must not fill the log. */
const reportEveryMs = 30_000

/** Where trouble is reported to. */
export interface TroubleReport {
  /** Some events could not be sent, and are being retried. Called once for each trouble, and at most every 30 s. */
  onTrouble(error: KyconnectError): void
  /** Events are accepted again. Called only after `onTrouble`, and once for each call of that. */
  onRecovery(): void
}

/** The failures since the last answer that settled an event: whether they have been reported, and whether they have lasted too long. */
export class Trouble {
  readonly #report: TroubleReport
  readonly #limitMs: number
  /** Times are those of the sender's monotonic clock. undefined: there is no trouble. */
  #sinceMs: number | undefined
  #lastError: KyconnectError | undefined
  #isReported = false
  #reportedMs = -Infinity

  /** @param limitMs milliseconds for which failures may last */
  constructor(report: TroubleReport, limitMs: number) {
    this.#report = report
    this.#limitMs = limitMs
  }

  /** Notes a failure after which it may help to try again. @returns whether failures have not lasted too long */
  note(error: KyconnectError, nowMs: number): boolean {
    this.#sinceMs ??= nowMs
    this.#lastError = error
    if (nowMs - this.#sinceMs >= this.#limitMs) return false
    if (!this.#isReported && nowMs - this.#reportedMs >= reportEveryMs) {
      this.#isReported = true
      this.#reportedMs = nowMs
      this.#report.onTrouble(error)
    }
    return true
  }

  /** An event was settled. @param isAccepted whether it was accepted, and not rejected */
  end(isAccepted: boolean): void {
    this.#sinceMs = undefined
    if (!this.#isReported || !isAccepted) return
    this.#isReported = false
    this.#report.onRecovery()
  }

  /** Milliseconds until failures will have lasted too long, 0 or less when they have; undefined without trouble. */
  untilLimitMs(nowMs: number): number | undefined {
    return this.#sinceMs === undefined ? undefined : this.#sinceMs + this.#limitMs - nowMs
  }

  /** The last failure that was noted. */
  get lastError(): KyconnectError | undefined {
    return this.#lastError
  }
}
