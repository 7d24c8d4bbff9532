import { randomBytes } from 'node:crypto'
import type { ClientContext } from './client-context.js'

/** One-time tokens: each is for one client, works once, and expires (docs/contract.md §2, §4). They live in memory, as Kyma's do. */
export interface Tokens {
  issue(context: ClientContext): string
  /** The client of a token that is known, unused and not expired. Looking it up consumes nothing. */
  clientOf(token: string): ClientContext | undefined
  consume(token: string): void
}

interface Issued {
  readonly context: ClientContext
  readonly expiresMs: number
}

export function createTokens(lifetimeSeconds: number, now: () => Date): Tokens {
  // All tokens live equally long, so the oldest entries expire first. Each token is removed once: issuing is O(1) amortised.
  const issued = new Map<string, Issued>()
  const removeExpired = (nowMs: number): void => {
    for (const [token, { expiresMs }] of issued) {
      if (expiresMs > nowMs) return
      issued.delete(token)
    }
  }
  return {
    issue(context) {
      const nowMs = now().getTime()
      removeExpired(nowMs)
      const token = randomBytes(64).toString('base64url') + '=='
      issued.set(token, { context, expiresMs: nowMs + lifetimeSeconds * 1000 })
      return token
    },
    clientOf(token) {
      const entry = issued.get(token)
      return entry !== undefined && entry.expiresMs > now().getTime() ? entry.context : undefined
    },
    consume(token) {
      issued.delete(token)
    },
  }
}
