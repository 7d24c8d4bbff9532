import type { IdentityStore } from './store.js'

/** What a profile holds: an identity, perhaps with a pairing that is pending beside it, or a pending pairing alone. */
export type Occupant = 'identity' | 'pending-pairing'

/** What is stored under a profile; undefined when its name is free. A restored copy that no pointer names does not count. */
export async function findOccupant(
  profile: string,
  store: Pick<IdentityStore, 'has' | 'listPending'>,
): Promise<Occupant | undefined> {
  if (await store.has(profile)) return 'identity'
  return (await store.listPending()).includes(profile) ? 'pending-pairing' : undefined
}
