import { UsageError } from '../errors.js'
import type { Identity, Metadata } from '../identity/identity.js'
import { warnIfNotDurable } from '../identity/not-durable.js'
import { completeRoute, type RouteChoice } from '../identity/route.js'
import { checkSameApp } from '../identity/same-app.js'
import type { IdentityStore } from '../identity/store.js'
import type { Emit } from '../progress.js'

/** Refuses to store the route to a server that was not verified: that would prove nothing. @throws UsageError */
export function checkSavable({ insecure }: Pick<RouteChoice, 'insecure'>): void {
  if (!insecure) return
  throw new UsageError('--save and --insecure exclude each other: only what a verified server has answered is stored', {
    hints: ["give the cluster's CA with --ca-file <pem>, and leave --insecure and KYCONNECT_INSECURE out"],
  })
}

/**
 * Stores how this run reached the gateway, for later runs, together with the URLs that the gateway named: all of it in one step, or nothing.
 * What this run did not choose stays as it is stored.
 * @param learned the metadata with the URLs that the gateway named
 * @throws LockHeldError when another process changes the profile, or has paired it with another App; FilesError
 */
export async function saveRoute(
  store: IdentityStore,
  { metadata: before }: Identity,
  { urls, acceptedHosts }: Metadata,
  choice: RouteChoice,
  emit: Emit,
): Promise<Metadata> {
  const written = await store.locked(before.profile, (change) =>
    change.amend((present) => {
      checkSameApp(before, present, 'run the command again')
      return { ...present, urls, acceptedHosts, route: completeRoute(choice, present.route) }
    }),
  )
  warnIfNotDurable(written, emit)
  return written.value
}
