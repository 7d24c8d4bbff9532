import type { KyconnectError } from '../errors.js'
import type { Identity, Material, Metadata, MetadataSummary, Pending } from './identity.js'

/**
 * Where identities are kept. Every method reports what goes wrong with the errors of errors.ts. Outside of `locked` nothing changes a
 * profile, and reading never writes.
 */
export interface IdentityStore {
  /** Where it keeps the identities, for messages: the folder, and the variable that named it. */
  readonly place: string
  /** Checks that an identity can be stored; called before a token is consumed. @throws FilesError, HomeUnsafeError */
  ready(): Promise<void>
  /** What is known about every profile, sorted by name, from metadata alone. A damaged profile has a problem instead. */
  summaries(): Promise<ProfileSummary[]>
  /** Whether an identity is stored under this profile. */
  has(profile: string): Promise<boolean>
  /** @throws NoIdentityError, IdentityUnusableError, HomeUnsafeError */
  load(profile: string): Promise<Identity>
  /** Reads an identity from a folder that holds a copy of one; what its certificate says overrides the metadata. @throws FilesError, IdentityUnusableError, HomeUnsafeError */
  loadCopy(folder: string, profile: string): Promise<Identity>
  /** Names of all profiles with a pending pairing, sorted. */
  listPending(): Promise<string[]>
  /** @throws IdentityUnusableError when it is damaged */
  pending(profile: string): Promise<Pending | undefined>
  /**
   * Changes a profile while no other process can.
   * @param patienceMs how long to wait for another process; by default 3 seconds
   * @throws LockHeldError
   */
  locked<T>(profile: string, work: (change: ProfileChange) => Promise<T>, patienceMs?: number): Promise<T>
  /** Repairs what a crash left behind, and deletes an expired pending pairing. Never fails: what it cannot repair stays as it is. */
  mend(profile: string): Promise<void>
  /** Repairs every stored identity as `mend` does, and returns what `summaries` reports after that. */
  mendAll(): Promise<ProfileSummary[]>
}

/** What `summaries` reports about a profile. */
export type ProfileSummary =
  | { readonly profile: string; readonly metadata: MetadataSummary; readonly problem?: undefined }
  | { readonly profile: string; readonly metadata?: undefined; readonly problem: KyconnectError }

/** What may be done to a profile while its lock is held. */
export interface ProfileChange {
  /**
   * Stores key and csrUrl before the CSR is sent, and reserves the space that the answer will need. Replaces any other pending pairing.
   * @throws FilesError
   */
  begin(pending: Pending): Promise<void>
  /** Checks that there is space for an identity. @throws FilesError */
  checkSpace(): Promise<void>
  /** Deletes the pending pairing, if there is one. */
  discard(): Promise<void>
  /**
   * Makes this the profile's identity, completely or not at all. `rollback` restores the one before.
   * @param pending what happens to a pending pairing; by default it is deleted, because the identity is what became of it
   * @throws FilesError when nothing was changed
   */
  commit(metadata: Metadata, material: Material, pending?: 'delete' | 'keep'): Promise<Written<Identity>>
  /**
   * Replaces the metadata of the stored identity, completely or not at all: the route and its CA too. `rollback` still restores the
   * identity before it. @throws NoIdentityError, FilesError when nothing was changed
   */
  amend(change: (metadata: Metadata) => Metadata): Promise<Written<Metadata>>
  /** Restores the identity before the last commit. @throws NoIdentityError when there is none */
  rollback(): Promise<Written<Identity>>
  /** The identity that `rollback` would restore. @throws IdentityUnusableError, HomeUnsafeError */
  previous(): Promise<Identity | undefined>
  /** Removes the identity, and everything else that the store wrote. Returns the names of entries that it did not write and left. */
  remove(): Promise<readonly string[]>
}

/** A change that has happened. */
export interface Written<T> {
  readonly value: T
  /** What failed after the point of no return: the change holds, but may not survive a power failure, or `current` lags behind it. */
  readonly problem: KyconnectError | undefined
}
