import { describe, expect, test } from 'vitest'
import { ClientCertificateRefusedError, NetworkError, ServiceFailedError } from '../../src/errors.js'
import { retryWhileRefused } from '../../src/pairing/fresh-certificate.js'
import type { ProgressEvent } from '../../src/progress.js'
import { Redactor } from '../../src/redaction.js'

const alert = new ClientCertificateRefusedError('TLS alert CERTIFICATE_EXPIRED')
const reset = new NetworkError('the connection broke', { reason: 'ECONNRESET', requestSent: true })

/** Asks a gateway that refuses with `error` as often as is said; each request takes no time, and each pause as long as it says. */
async function ask(
  error: Error,
  refusals: number,
): Promise<{ tries: number; waitedMs: number; events: ProgressEvent[]; failed?: unknown }> {
  const seen = { tries: 0, waitedMs: 0, events: [] as ProgressEvent[] }
  const transport = {
    redactor: new Redactor(),
    trace: undefined,
    signal: new AbortController().signal,
    now: () => seen.waitedMs,
    sleep: (milliseconds: number) => {
      seen.waitedMs += milliseconds
      return Promise.resolve()
    },
  }
  const deps = {
    transport,
    emit: (event: ProgressEvent) => seen.events.push(event),
  }
  try {
    await retryWhileRefused(30_000, deps, () => (++seen.tries > refusals ? Promise.resolve() : Promise.reject(error)))
    return seen
  } catch (failed) {
    return { ...seen, failed }
  }
}

const waiting = { type: 'notice', notice: 'waiting-for-gateway', seconds: 30 }

describe('a gateway that refuses a new certificate', () => {
  test.each([
    ['with an alert', alert],
    ['by hanging up', reset],
  ])('%s is asked again until it accepts it, and that is said once', async (_, error) => {
    const { tries, events, failed } = await ask(error, 5)
    expect([tries, events, failed]).toEqual([6, [waiting], undefined])
  })

  test('for longer than half a minute has refused it', async () => {
    const { waitedMs, failed } = await ask(alert, Infinity)
    expect(failed).toBe(alert)
    expect(waitedMs).toBeGreaterThanOrEqual(29_000)
    expect(waitedMs).toBeLessThanOrEqual(30_000)
  })

  test('for another reason has failed', async () => {
    const failed = new ServiceFailedError('503')
    expect(await ask(failed, Infinity)).toMatchObject({ tries: 1, events: [], failed })
  })
})
