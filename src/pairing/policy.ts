import type { RouteChoice } from '../identity/route.js'
import type { IdentityStore } from '../identity/store.js'
import type { Emit } from '../progress.js'
import type { TransportDeps } from '../transport/client.js'

/** What a pairing may do to what is there. */
export interface PairPolicy {
  /** Whether an existing identity may be replaced. */
  readonly replace: boolean
  /** Asked when the new identity is from another domain than the one it replaces. */
  readonly otherDomain: (from: string, to: string) => Promise<boolean>
  /** Whether URLs of other hosts than the gateway fixed at pairing may be stored and called. */
  readonly acceptHosts: (hosts: readonly string[]) => Promise<boolean>
  /** Whether the management info is called at the end. */
  readonly verify: boolean
}

export interface PairDeps {
  readonly store: IdentityStore
  readonly choice: RouteChoice
  readonly transport: TransportDeps
  readonly emit: Emit
  readonly now: () => Date
}
