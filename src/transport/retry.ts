import { KyconnectError } from '../errors.js'
import type { Answer } from './answer.js'

/**
 * When a request may be sent again: `never`; `until-201`: until a 201 was seen; `idempotent`: always, as for any read. The
 * endpoint declares it, and the client carries it out.
 */
export type Retry = 'never' | 'until-201' | 'idempotent'

export const maxAttempts = 3
const firstPauseMs = 200

/** Milliseconds to wait after an attempt. */
export function pauseMs(attempt: number): number {
  return firstPauseMs * attempt
}

/**
 * Whether another attempt is allowed and may help: a gateway in between failed, or an established connection broke. A connection that
 * could not be made, and a timeout, are reported at once.
 * @param status the status, if it arrived
 */
export function mayRetry(
  retry: Retry,
  status: number | undefined,
  outcome: Omit<Answer, 'attempts'> | KyconnectError,
): boolean {
  if (retry === 'never' || (retry === 'until-201' && status === 201)) return false
  return outcome instanceof KyconnectError ? brokenConnection.has(outcome.reason ?? '') : gatewayFailed(outcome.status)
}

/** The reasons of an error that mean that an established connection broke. */
export const brokenConnection: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/** Whether the status is from a failed gateway in front of the service, which does not say whether the service got the request. */
export function gatewayFailed(status: number): boolean {
  return status === 502 || status === 503 || status === 504
}
