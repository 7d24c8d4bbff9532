import type { KyconnectError } from '../errors.js'

/** The bounds of the pause between two looks at the store. */
const shortestPollMs = 1000
const longestPollMs = 60_000
/** A pause is at most this share of a lifetime, so that a certificate that lives for minutes is renewed in time too. */
const pollShare = 1 / 20
/** The longest pause after failures, in polls: an hour for every certificate that is valid for 20 minutes or more. */
const longestBackoffPolls = 60

/** Milliseconds between two looks at an identity: 60 s, or 1/20 of its lifetime where that is shorter, but at least 1 s. */
export function pollMs(lifetimeMs: number): number {
  return Math.min(longestPollMs, Math.max(shortestPollMs, lifetimeMs * pollShare))
}

/** Counts failures in a row, and computes the pause before the next try. */
export class Backoff {
  #count = 0
  #retryAtMs = -Infinity
  #said: string | undefined

  get count(): number {
    return this.#count
  }

  /** Milliseconds until the next try; 0 when it may be now. */
  remainingMs(nowMs: number): number {
    return Math.max(0, this.#retryAtMs - nowMs)
  }

  /**
   * Notes a failure. The limit of the pause doubles with each, from one poll (1 min) to sixty (1 h), and the pause is a random part of
   * it: many daemons that fail at the same time do not try again at the same time.
   * @param nowMs on a monotonic clock, because a jump of the wall clock must not stretch a pause
   * @param random from 0 to 1
   */
  fail(nowMs: number, lifetimeMs: number, random: () => number): void {
    this.#count += 1
    this.#retryAtMs = nowMs + random() * pollMs(lifetimeMs) * Math.min(longestBackoffPolls, 2 ** (this.#count - 1))
  }

  /** Whether the error differs from the one that was reported last; it then counts as reported. */
  isNews(error: KyconnectError): boolean {
    const key = keyOf(error)
    if (key === this.#said) return false
    this.#said = key
    return true
  }

  reset(): void {
    this.#count = 0
    this.#retryAtMs = -Infinity
    this.#said = undefined
  }
}

/** Equal for errors that a person would call the same. Messages may contain times and other details of one try. */
export function keyOf({ code, reason, target, details }: KyconnectError): string {
  return JSON.stringify([code, reason, target, details?.['status'], details?.['end']])
}
