import type { RouteChoice } from '../identity/route.js'
import type { IdentityStore } from '../identity/store.js'
import type { Emit } from '../progress.js'
import type { TransportDeps } from '../transport/client.js'

/** What a pairing is allowed to do. */
export interface PairPolicy {
  /** Whether an existing identity may be replaced. */
  readonly replace: boolean
  /** Asks whether the new identity may replace one from another domain. */
  readonly otherDomain: (from: string, to: string) => Promise<boolean>
  /** Whether URLs on hosts other than the gateway fixed at pairing may be stored and called. */
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
