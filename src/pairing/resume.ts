import { NoIdentityError } from '../errors.js'
import type { Identity } from '../identity/identity.js'
import { checkProfileName } from '../identity/profile-name.js'
import { completeRoute, connectorRoute } from '../identity/route.js'
import type { ProfileChange } from '../identity/store.js'
import { HttpClient } from '../transport/client.js'
import { finishPairing, resumeCommand } from './finish.js'
import type { PairDeps, PairPolicy } from './policy.js'
import { checkProfileFree, checkReplaced } from './replacement.js'

/**
 * Continues a pairing whose CSR has not been answered with a 201.
 * @param profile where it is pending
 * @param as the profile to store the identity under; undefined: the same
 * @throws as pair, and NoIdentityError when nothing is pending
 */
export async function resumePairing(
  profile: string,
  as: string | undefined,
  policy: PairPolicy,
  deps: PairDeps,
): Promise<Identity> {
  const { store } = deps
  checkProfileName(profile)
  if (as === undefined || as === profile)
    return store.locked(profile, (change) => resume(profile, change, profile, change, policy, deps))
  checkProfileName(as)
  return store.locked(profile, (pendingChange) =>
    store.locked(as, (change) => resume(profile, pendingChange, as, change, policy, deps)),
  )
}

async function resume(
  profile: string,
  pendingChange: ProfileChange,
  as: string,
  change: ProfileChange,
  policy: PairPolicy,
  deps: PairDeps,
): Promise<Identity> {
  const { store, choice, transport } = deps
  const stored = await store.pending(profile)
  if (stored === undefined) {
    throw new NoIdentityError(`no pairing is pending under the profile "${profile}"`, {
      hints: ['ask the administrator for a token URL, then run: kyconnect pair --url -'],
    })
  }
  transport.redactor.learnUrl(stored.csrUrl)
  const pending = {
    ...stored,
    profile: as,
    route: completeRoute(choice, stored.route),
    insecure: stored.insecure || choice.insecure,
  }
  await checkProfileFree(as, policy, store)
  await checkReplaced(pending, policy, deps, resumeCommand(profile) + (as === profile ? '' : ` --as ${as}`))
  const http = new HttpClient(connectorRoute(choice, stored.route), transport)
  try {
    return await finishPairing({ pending, sentBefore: true, pendingChange, change }, policy, deps, http)
  } finally {
    await http.close()
  }
}
