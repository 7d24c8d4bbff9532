import { mayBeRefusal } from '../gateway/refused-certificate.js'
import type { PairDeps } from './policy.js'

const pauseMs = 1000

/**
 * Tries again while the gateway refuses a certificate that was signed just now: certificates are valid from the moment of signing, by
 * the signer's clock, and the gateway's clock may lag a little (docs/contract.md §5).
 * @param patienceMs how long to try
 */
export async function retryWhileRefused<T>(
  patienceMs: number,
  { emit, transport }: Pick<PairDeps, 'emit' | 'transport'>,
  work: () => Promise<T>,
): Promise<T> {
  const end = transport.now() + patienceMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!mayBeRefusal(error) || transport.now() + pauseMs > end) throw error
      if (attempt === 1) emit({ type: 'notice', notice: 'waiting-for-gateway', seconds: patienceMs / 1000 })
      await transport.sleep(pauseMs, transport.signal)
    }
  }
}
