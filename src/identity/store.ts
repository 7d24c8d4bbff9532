import type { Identity, Material, Metadata, Pending } from './identity.js'

/** Held while a profile is changed. */
export interface Lock {
  release(): Promise<void>
}

/**
 * Where identities are kept. Every method is asynchronous and reports what goes wrong with the errors of errors.ts. What
 * changes a profile (begin, discard, commit, update, rollback) is called with its lock held.
 */
export interface IdentityStore {
  /** Fails where nothing could be stored: asked before a token is used up. */
  ready(): Promise<void>
  /** Names of all profiles that hold an identity, sorted. */
  list(): Promise<string[]>
  /** Whether an identity is stored under this profile. */
  has(profile: string): Promise<boolean>
  /** @throws NoIdentityError, IdentityUnusableError */
  load(profile: string): Promise<Identity>
  /** Waits briefly for another process. @throws LockHeldError */
  lock(profile: string): Promise<Lock>
  /** Puts key and csrUrl on disk before the CSR leaves, and makes sure that what comes back will find room. Replaces what was pending. */
  begin(pending: Pending): Promise<void>
  /** Names of all profiles with a pending pairing, sorted. */
  listPending(): Promise<string[]>
  pending(profile: string): Promise<Pending | undefined>
  /** Forgets the pending pairing, if there is one. */
  discard(profile: string): Promise<void>
  /** Makes this the profile's identity, at once or not at all, and ends what was pending. The one before can be rolled back to. */
  commit(metadata: Metadata, material: Material): Promise<Identity>
  /** Replaces the metadata of the identity that is there. */
  update(identity: Identity, metadata: Metadata): Promise<Identity>
  /** Puts the identity before the last commit back. @throws NoIdentityError when there is none */
  rollback(profile: string): Promise<Identity>
}
