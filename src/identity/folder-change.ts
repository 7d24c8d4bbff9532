import { readdir, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode, IdentityUnusableError, type KyconnectError, NoIdentityError } from '../errors.js'
import { currentLags, linkedVersion, type MakeLink, pointCurrent } from './current-link.js'
import { filesError, onFiles, replaceOwnFile, syncFolder, writeOwnFile } from './durable-files.js'
import { encodeMetadata } from './identity-codec.js'
import type { Identity, Material, Metadata, Pending } from './identity.js'
import type { HeldLock } from './lock.js'
import { deleteUnfinished, tidy } from './mending.js'
import { noIdentityOf } from './no-identity.js'
import { deletePending, releaseReserved, reservedBytes, writePending } from './pending-folder.js'
import { isVersion, type Pointer, readPointer, replacePointer } from './pointer.js'
import { currentPath, type ProfileFolder, versionPath } from './profile-folder.js'
import type { ProfileChange, Written } from './store.js'
import { deleteVersions, readVersion, writeVersion } from './versions.js'

/**
 * The changes to one profile, made while its lock is held. Each has a single point of no return, a rename: a failure before it leaves
 * everything as it was; a failure after it is reported as a problem, and the change holds.
 */
export class FolderChange implements ProfileChange {
  readonly #profile: ProfileFolder
  readonly #lock: Pick<HeldLock, 'assertHeld'>
  readonly #makeLink: MakeLink

  constructor(profile: ProfileFolder, lock: Pick<HeldLock, 'assertHeld'>, makeLink: MakeLink) {
    this.#profile = profile
    this.#lock = lock
    this.#makeLink = makeLink
  }

  async begin(pending: Pending): Promise<void> {
    await onFiles(`write to ${this.#profile.path}`, () => writePending(this.#profile, pending))
  }

  async checkSpace(): Promise<void> {
    const { path, randomHex } = this.#profile
    const file = join(path, `reserved.${randomHex(4)}`)
    await onFiles(`write to ${path}`, () =>
      writeOwnFile(file, Buffer.alloc(reservedBytes, 0x20)).finally(() => rm(file, { force: true })),
    )
  }

  async discard(): Promise<void> {
    await onFiles(`write to ${this.#profile.path}`, () => deletePending(this.#profile))
  }

  async commit(
    metadata: Metadata,
    material: Material,
    pending: 'delete' | 'keep' = 'delete',
  ): Promise<Written<Identity>> {
    const profile = this.#profile
    return onFiles(`store the identity in ${profile.path}`, async () => {
      const before = await this.#replaceablePointer()
      if (pending === 'delete') await releaseReserved(profile)
      const retired = [...(before?.retired ?? []), ...(isVersion(before?.previous) ? [before.previous] : [])]
      const problem = await this.#pointToNew(
        metadata,
        material,
        (version) => ({ current: version, previous: before?.current ?? null, retired }),
        async () => {
          if (pending === 'delete') await deletePending(profile)
        },
      )
      return { value: { metadata, material, directory: currentPath(profile) }, problem }
    })
  }

  async amend(change: (metadata: Metadata) => Metadata): Promise<Written<Metadata>> {
    const profile = this.#profile
    return onFiles(`store the metadata in ${profile.path}`, async () => {
      const pointer = await readPointer(profile)
      if (pointer === undefined) throw noIdentityOf(profile.profile)
      const present = await readVersion(profile, pointer.current)
      const metadata = change(present.metadata)
      if (metadata.route.serverCa !== present.metadata.route.serverCa) {
        // The CA is a file beside the metadata, and no file system replaces two files in one step.
        const retired = [...pointer.retired, pointer.current]
        const problem = await this.#pointToNew(metadata, present.material, (version) => ({
          current: version,
          previous: pointer.previous,
          retired,
        }))
        return { value: metadata, problem }
      }
      await this.#lock.assertHeld()
      const file = join(versionPath(profile, pointer.current), 'identity.json')
      const late = await replaceOwnFile(file, encodeMetadata(metadata), `${file}.${profile.randomHex(4)}`)
      return { value: metadata, problem: late === undefined ? undefined : filesError(late, `sync ${file}`) }
    })
  }

  async rollback(): Promise<Written<Identity>> {
    const profile = this.#profile
    return onFiles(`restore the identity in ${profile.path}`, async () => {
      const pointer = await readPointer(profile)
      if (pointer === undefined) throw noIdentityOf(profile.profile)
      const { current, previous } = pointer
      if (previous === null) {
        throw new NoIdentityError(`the profile "${profile.profile}" has no previous identity`, {
          hints: [
            `keep the current identity, which is unchanged: kyconnect info --profile ${profile.profile}`,
            'to have one to return to, renew: "renew", "pair --force" and "import --force" keep the identity that they replace',
          ],
        })
      }
      const identity = await readVersion(profile, previous)
      const late = await this.#point({ ...pointer, current: previous, previous: current })
      const problem = await this.#afterCommit(late, () => pointCurrent(profile, previous, this.#makeLink))
      return { value: identity, problem }
    })
  }

  async previous(): Promise<Identity | undefined> {
    const pointer = await readPointer(this.#profile)
    return isVersion(pointer?.previous) ? readVersion(this.#profile, pointer.previous) : undefined
  }

  async remove(): Promise<readonly string[]> {
    const profile = this.#profile
    return onFiles(`remove ${profile.path}`, async () => {
      const pointer = await this.#replaceablePointer()
      // With a damaged pointer, `current` alone says which version is the identity.
      const linked = pointer === undefined ? linkedVersion(profile) : undefined
      const known =
        pointer === undefined
          ? [linked].filter(isVersion)
          : [pointer.current, pointer.previous, ...pointer.retired].filter(isVersion)
      const ours = pointer === undefined ? linked !== undefined : !(await currentLags(profile, pointer.current))
      await this.#lock.assertHeld()
      // The point of no return: without a pointer there is no identity, whatever else is still there.
      await unlink(join(profile.path, 'pointer.json')).catch(ignoreMissing)
      await syncFolder(profile.path)
      if (ours) await rm(currentPath(profile), { recursive: true, force: true })
      await deletePending(profile)
      await deleteVersions(profile, known).catch(() => undefined)
      await deleteUnfinished(profile).catch(() => undefined)
      const versions = join(profile.path, 'versions')
      const kept = await readdir(versions).catch((): string[] => [])
      if (kept.length === 0) await rm(versions, { recursive: true, force: true })
      return readdir(profile.path)
    })
  }

  /**
   * Writes a new version, and points to it.
   * @param pointerTo the pointer that names the new version as the current one
   * @param finish follows the point of no return
   * @returns what failed after the point of no return
   * @throws what failed before it: nothing has changed
   */
  async #pointToNew(
    metadata: Metadata,
    material: Material,
    pointerTo: (version: string) => Pointer,
    finish: () => Promise<void> = () => Promise.resolve(),
  ): Promise<KyconnectError | undefined> {
    const profile = this.#profile
    const version = await writeVersion(profile, metadata, material)
    const pointer = pointerTo(version)
    const late = await this.#point(pointer).catch(async (error: unknown) => {
      // A pointer that cannot be read may name this version, so the version is kept.
      const isUnused = await this.#replaceablePointer().then(
        (present) => present?.current !== version,
        () => false,
      )
      if (isUnused) await rm(versionPath(profile, version), { recursive: true, force: true }).catch(() => undefined)
      throw error
    })
    return this.#afterCommit(late, async () => {
      await pointCurrent(profile, version, this.#makeLink)
      await finish()
      await tidy(profile, pointer)
    })
  }

  /** The pointer, or undefined when it is damaged: replacing the identity repairs it. */
  async #replaceablePointer(): Promise<Pointer | undefined> {
    return readPointer(this.#profile).catch((error: unknown) => {
      if (error instanceof IdentityUnusableError) return undefined
      throw error
    })
  }

  /** Replaces the pointer: the point of no return. @returns what failed after it @throws what failed before it */
  async #point(pointer: Pointer): Promise<unknown> {
    try {
      // A process that was stopped for a long time may have lost its lock.
      await this.#lock.assertHeld()
      return await replacePointer(this.#profile, pointer)
    } catch (error) {
      // A rename that reports a failure may still have happened, for instance on a network file system: the content of the pointer decides.
      const present = await readPointer(this.#profile).catch(() => undefined)
      if (present?.current === pointer.current) return error
      throw error
    }
  }

  /** Runs what follows a commit. The next command repairs what fails here, so a failure is only reported. */
  async #afterCommit(late: unknown, work: () => Promise<void>): Promise<KyconnectError | undefined> {
    let problem = late
    try {
      await work()
    } catch (error) {
      problem ??= error
    }
    return problem === undefined ? undefined : filesError(problem, `finish writing to ${this.#profile.path}`)
  }
}

function ignoreMissing(error: unknown): void {
  if (!hasErrorCode(error, 'ENOENT')) throw error
}
