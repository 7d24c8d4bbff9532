import { mayBeRefusal } from '../gateway/refused-certificate.js'
import type { Metadata } from '../identity/identity.js'
import type { PairDeps } from './policy.js'

/** A gateway whose clock lags refuses a certificate that was just signed. */
const freshForMs = 2 * 60_000
const patienceMs = 30_000
const pauseMs = 1000

/**
 * Tries again while the gateway refuses a certificate that was signed within the last two minutes, for up to 30 seconds: certificates
 * are valid from the moment of signing, by the signer's clock, and the gateway's clock may lag a little (docs/contract.md §5).
 */
export async function retryWhileRefused<T>(
  { pairedAt }: Pick<Metadata, 'pairedAt'>,
  { emit, now, transport }: Pick<PairDeps, 'emit' | 'now' | 'transport'>,
  work: () => Promise<T>,
): Promise<T> {
  const end = transport.now() + patienceMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const fresh = now().getTime() - pairedAt.getTime() < freshForMs
      if (!mayBeRefusal(error) || !fresh || transport.now() + pauseMs > end) throw error
      if (attempt === 1) emit({ type: 'notice', notice: 'waiting-for-gateway', seconds: patienceMs / 1000 })
      await transport.sleep(pauseMs, transport.signal)
    }
  }
}
