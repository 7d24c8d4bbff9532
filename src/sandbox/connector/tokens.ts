import { randomBytes } from 'node:crypto'

/** One-time tokens (contract §2, §4): each names an App, works once and only so long. In memory, as Kyma's are. */
export interface Tokens {
  issue(app: string): string
  /** The App of a token that is known, unused and in time; asking consumes nothing. */
  appOf(token: string): string | undefined
  consume(token: string): void
}

/** `life` in seconds. */
export function createTokens(life: number, now: () => Date): Tokens {
  const issued = new Map<string, { app: string; expires: number }>()
  return {
    issue(app) {
      const time = now().getTime()
      for (const [token, { expires }] of issued) if (expires <= time) issued.delete(token)
      const token = randomBytes(64).toString('base64url') + '=='
      issued.set(token, { app, expires: time + life * 1000 })
      return token
    },
    appOf(token) {
      const entry = issued.get(token)
      return entry !== undefined && entry.expires > now().getTime() ? entry.app : undefined
    },
    consume(token) {
      issued.delete(token)
    },
  }
}
