import type { KyconnectError } from '../../../errors.js'
import type { MetadataSummary } from '../../../identity/identity.js'
import type { ProfileSummary } from '../../../identity/store.js'
import { certificateState, type CertificateState, type DueRule, renewalDate } from '../../../renewal/due.js'

/** What `status` reports about one identity. */
export type Assessment =
  | {
      readonly profile: string
      readonly state: CertificateState
      readonly metadata: MetadataSummary
      /** The instant from which it is renewed; null when it cannot be renewed, because it has expired or been revoked. */
      readonly nextRenewal: Date | null
    }
  | { readonly profile: string; readonly state: 'unusable'; readonly problem: KyconnectError }

export function assess({ profile, metadata, problem }: ProfileSummary, rule: DueRule, now: Date): Assessment {
  if (metadata === undefined) return { profile, state: 'unusable', problem }
  const state = certificateState(metadata, rule, now)
  const isRenewable = state === 'fine' || state === 'due'
  return { profile, state, metadata, nextRenewal: isRenewable ? renewalDate(metadata, rule) : null }
}
