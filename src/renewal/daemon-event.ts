import type { KyconnectError } from '../errors.js'
import type { MetadataSummary } from '../identity/identity.js'

/** What the daemon reports: changes of state, each once. */
export type DaemonEvent =
  | {
      readonly event: 'started'
      /** Where /healthz and /metrics are; undefined without --listen. */
      readonly url: string | undefined
      /** The only profile that the daemon cares for; undefined: all of them. */
      readonly only: string | undefined
      /** Where the identities are stored. */
      readonly place: string
      /** Whether there is nothing to care for yet. */
      readonly isEmpty: boolean
    }
  | { readonly event: 'stopping' }
  /** `changed`: paired again, rolled back, or renewed by another process. */
  | {
      readonly event: 'appeared' | 'changed' | 'due' | 'expired' | 'revoked' | 'recovered'
      readonly profile: string
      readonly metadata: MetadataSummary
    }
  | { readonly event: 'gone'; readonly profile: string }
  /** `failures`: how often it had failed before. */
  | {
      readonly event: 'renewed'
      readonly profile: string
      readonly metadata: MetadataSummary
      readonly failures: number
    }
  | { readonly event: 'failed' | 'unusable'; readonly profile: string; readonly error: KyconnectError }
  | { readonly event: 'hook-succeeded'; readonly profiles: readonly string[] }
  | { readonly event: 'hook-failed'; readonly profiles: readonly string[]; readonly error: KyconnectError }
  | { readonly event: 'store-failed'; readonly error: KyconnectError }
  | { readonly event: 'store-recovered' }
