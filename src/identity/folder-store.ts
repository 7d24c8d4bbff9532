import { existsSync, readdirSync } from 'node:fs'
import { access, constants, readdir, rmdir } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { IdentityUnusableError, KyconnectError } from '../errors.js'
import { readCopiedIdentity } from './copied-identity.js'
import { currentIsForeign, type MakeLink } from './current-link.js'
import { filesError, onFiles } from './durable-files.js'
import { FolderChange } from './folder-change.js'
import { checkOwnFolder, makeOwnFolder } from './home.js'
import { decodeMetadata } from './identity-codec.js'
import type { Identity, Pending } from './identity.js'
import { type HeldLock, type LockDeps, lockTimeoutMs, takeLock } from './lock.js'
import { lockFilesIn } from './lock-files.js'
import { mayNeedMending, mendProfile, needsMending } from './mending.js'
import { noIdentityOf } from './no-identity.js'
import { checkInnerFolder, readOwnFileSync } from './own-files.js'
import { readPending } from './pending-folder.js'
import { pairAgain } from './pair-again.js'
import { parsePointer, type Pointer, readPointer } from './pointer.js'
import { exists, type ProfileFolder } from './profile-folder.js'
import { checkProfileName, isProfileName } from './profile-name.js'
import type { IdentityStore, ProfileChange, ProfileSummary } from './store.js'
import { readVersion } from './versions.js'
import { shellWord } from '../shell-word.js'

export interface FolderStoreDeps extends LockDeps {
  readonly home: string
  /** The variable that names the home; undefined where it is the default, or a program chose it. */
  readonly homeVariable?: string | undefined
  /** undefined where the platform has no user ids. */
  readonly userId: number | undefined
  readonly makeLink: MakeLink
}

/** Milliseconds that mending waits for another process: the lock of a crashed one is taken over at once, and a running one mends the profile itself. */
const mendTimeoutMs = 200

/** Stores identities as folders below a home; profile-folder.ts says what is in each. */
export class FolderStore implements IdentityStore {
  readonly #deps: FolderStoreDeps

  constructor(deps: FolderStoreDeps) {
    this.#deps = deps
  }

  get place(): string {
    const { home, homeVariable } = this.#deps
    return homeVariable === undefined ? home : `${home} (${homeVariable})`
  }

  async ready(): Promise<void> {
    const { home, userId } = this.#deps
    await makeOwnFolder(home, userId)
    await onFiles(`write to ${home}`, () => access(home, constants.W_OK | constants.X_OK))
  }

  async summaries(): Promise<ProfileSummary[]> {
    return (await this.#profileNames()).flatMap((profile) => this.#read(profile)?.summary ?? [])
  }

  async mendAll(): Promise<ProfileSummary[]> {
    const summaries: ProfileSummary[] = []
    for (const profile of await this.#profileNames()) {
      let read = this.#read(profile)
      if (read?.pointer !== undefined && mayNeedMending(this.#folder(profile), read.pointer)) {
        await this.mend(profile)
        read = this.#read(profile)
      }
      if (read !== undefined) summaries.push(read.summary)
    }
    return summaries
  }

  async has(profile: string): Promise<boolean> {
    return exists(join((await this.#open(profile)).path, 'pointer.json'))
  }

  async load(profile: string): Promise<Identity> {
    const folder = await this.#open(profile)
    try {
      const identity = await readCurrent(folder)
      if (identity !== undefined) return identity
    } catch (error) {
      throw error instanceof IdentityUnusableError && error.hints.length === 0
        ? error.addHint(pairAgain(profile))
        : error
    }
    throw (
      (await this.#foreignCopy(folder)) ??
      noIdentityOf(profile, { place: this.place, profiles: await this.#storedProfiles() })
    )
  }

  async loadCopy(folder: string, profile: string): Promise<Identity> {
    return readCopiedIdentity(folder, checkProfileName(profile), this.#deps.userId)
  }

  async listPending(): Promise<string[]> {
    const { home } = this.#deps
    if (!(await this.#homeExists())) return []
    const names = await onFiles(`read ${home}`, () => readdir(home))
    const found = await Promise.all(
      names.filter(isProfileName).map(async (name) => ((await exists(join(home, name, 'pending'))) ? [name] : [])),
    )
    return found.flat().sort()
  }

  async pending(profile: string): Promise<Pending | undefined> {
    return readPending(await this.#open(profile))
  }

  async locked<T>(
    profile: string,
    work: (change: ProfileChange) => Promise<T>,
    patienceMs = lockTimeoutMs,
  ): Promise<T> {
    return this.#locked(profile, patienceMs, async (folder, lock) => {
      // A failed repair is ignored here: the change itself reports what is wrong.
      if (await needsMending(folder)) await mendProfile(folder, this.#deps.makeLink).catch(() => undefined)
      return work(new FolderChange(folder, lock, this.#deps.makeLink))
    })
  }

  async mend(profile: string): Promise<void> {
    try {
      if (!(await needsMending(await this.#open(profile)))) return
      await this.#locked(profile, mendTimeoutMs, (folder) => mendProfile(folder, this.#deps.makeLink))
    } catch (error) {
      // A read-only disk, or a profile that another process is changing: the identity can be used anyway.
      if (!(error instanceof Error)) throw error
    }
  }

  /**
   * The lock's files stay beside the profiles, in `.locks/<profile>/`, so that the process that holds the lock can create and remove the
   * profile's own folder. No profile name begins with a full stop.
   */
  async #locked<T>(
    profile: string,
    timeoutMs: number,
    work: (folder: ProfileFolder, lock: HeldLock) => Promise<T>,
  ): Promise<T> {
    checkProfileName(profile)
    const { home, userId } = this.#deps
    const folder = this.#folder(profile)
    const locks = join(home, '.locks')
    for (const needed of [home, locks, join(locks, profile)]) await makeOwnFolder(needed, userId)
    const lock = await onFiles(`lock ${folder.path}`, () =>
      takeLock(lockFilesIn(join(locks, profile), join(folder.path, 'lock')), profile, this.#deps, timeoutMs),
    )
    try {
      // Nothing is written through a link that somebody put in the place of the profile.
      await onFiles(`read ${folder.path}`, () => checkInnerFolder(folder.path, userId))
      await makeOwnFolder(folder.path, userId)
      return await work(folder, lock)
    } finally {
      // A failed pairing leaves no empty folder behind; rmdir refuses to remove a folder that holds something.
      await lock.assertHeld().then(
        () => rmdir(folder.path).catch(() => undefined),
        () => undefined,
      )
      await lock.release()
    }
  }

  #folder(profile: string): ProfileFolder {
    const { home, userId, now, randomHex } = this.#deps
    return { profile, path: join(home, profile), userId, now, randomHex }
  }

  /** The folder of a profile, if it is safe; it may not exist. @throws ProfileNameError, HomeUnsafeError */
  async #open(profile: string): Promise<ProfileFolder> {
    checkProfileName(profile)
    const folder = this.#folder(profile)
    if (await this.#homeExists())
      await onFiles(`read ${folder.path}`, () => checkInnerFolder(folder.path, folder.userId))
    return folder
  }

  /** Sorted; not every folder of such a name holds an identity. @throws FilesError, HomeUnsafeError */
  async #profileNames(): Promise<string[]> {
    const { home } = this.#deps
    if (!(await this.#homeExists())) return []
    try {
      return readdirSync(home).filter(isProfileName).sort()
    } catch (error) {
      throw filesError(error, `read ${home}`)
    }
  }

  /** The names of the profiles that hold an identity; none if they cannot be read. */
  async #storedProfiles(): Promise<string[]> {
    const names = await this.#profileNames().catch(() => [])
    return names.filter((name) => existsSync(join(this.#deps.home, name, 'pointer.json')))
  }

  #homeExists(): Promise<boolean> {
    return checkOwnFolder(this.#deps.home, this.#deps.userId)
  }

  /**
   * Reads synchronously: with 200 profiles, waiting for each file takes several times as long as reading it. The paths need no `join`, which
   * would take a tenth of the time.
   */
  #read(profile: string): { readonly summary: ProfileSummary; readonly pointer?: Pointer } | undefined {
    const { home, userId } = this.#deps
    const folder = `${home}${sep}${profile}`
    const file = `${folder}${sep}pointer.json`
    let text: string | undefined
    try {
      text = readOwnFileSync(file, userId)
      if (text === undefined) return undefined
      const pointer = parsePointer(text, file)
      const version = `${folder}${sep}versions${sep}${pointer.current}`
      const place = `${version}${sep}identity.json`
      const json = readOwnFileSync(place, userId)
      if (json === undefined)
        throw new IdentityUnusableError(`the identity in ${version} cannot be used: a file is missing`)
      return { summary: { profile, metadata: decodeMetadata(json, profile, place) }, pointer }
    } catch (error) {
      // Another process may have replaced this version, and deleted it, while it was being read.
      if (text !== undefined && isReplaced(file, text, userId)) return this.#read(profile)
      return {
        summary: { profile, problem: error instanceof KyconnectError ? error : filesError(error, `read ${folder}`) },
      }
    }
  }

  /** The error for a profile that holds a key but no pointer: a copy that a user restored. */
  async #foreignCopy(folder: ProfileFolder): Promise<KyconnectError | undefined> {
    const copy =
      (await exists(join(folder.path, 'current', 'key.pem'))) && (await currentIsForeign(folder))
        ? join(folder.path, 'current')
        : (await exists(join(folder.path, 'key.pem')))
          ? folder.path
          : undefined
    if (copy === undefined) return undefined
    return new IdentityUnusableError(
      `${folder.path} has no pointer.json, but ${copy} holds a key: it looks like a restored copy of an identity`,
      { hints: [`import it: kyconnect import ${shellWord(copy)} --profile ${folder.profile}`] },
    )
  }
}

/** Reads the identity that the pointer names; undefined when there is no pointer. */
async function readCurrent(folder: ProfileFolder): Promise<Identity | undefined> {
  const pointer = await readPointer(folder)
  if (pointer === undefined) return undefined
  const read = await readVersion(folder, pointer.current).catch((error: unknown) => {
    if (error instanceof KyconnectError) return error
    throw error
  })
  // Another process may have replaced this version, and deleted it, while it was being read.
  if ((await readPointer(folder))?.current !== pointer.current) return readCurrent(folder)
  if (read instanceof KyconnectError) throw read
  return read
}

/** Whether a file of ours has another content now, or is gone. */
function isReplaced(file: string, text: string, userId: number | undefined): boolean {
  try {
    return readOwnFileSync(file, userId) !== text
  } catch {
    return false
  }
}
