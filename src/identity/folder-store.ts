import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { symlink } from 'node:fs/promises'
import { access, constants, cp, lstat, open, readdir, readlink, rename, rm, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode, IdentityUnusableError, KyconnectError, NoIdentityError } from '../errors.js'
import { parseJsonObject, valueOf } from '../json.js'
import { keyToPem } from '../pki/key.js'
import { filesError, makeFolder, replaceOwnFile, syncFolder, writeOwnFile } from './durable-files.js'
import { checkOwnFolder, makeOwnFolder } from './home.js'
import type { Identity, Material, Metadata, Pending } from './identity.js'
import { lockTimeoutMs, type HeldLock, type LockDeps, takeLock } from './lock.js'
import { lockFilesIn } from './lock-files.js'
import { formatMetadata, formatPending, parseMetadata, parsePending } from './metadata-format.js'
import { checkProfileName, isProfileName } from './profile-name.js'
import type { IdentityStore, Lock } from './store.js'

export interface FolderStoreDeps extends LockDeps {
  readonly home: string
  /** undefined where the platform has none. */
  readonly userId: number | undefined
  /** Makes a symbolic link; fails where there are none. */
  readonly makeLink: typeof symlink
}

/** The truth about a profile: which version is its identity, and which was before it. */
interface Pointer {
  readonly current: string
  readonly previous: string | null
}

/** Milliseconds a csrUrl's token lives (docs/contract.md §4); after that it has no business on disk. */
const pendingLife = 5 * 60_000
/** Milliseconds after which nobody waits with a lock file of his own any more. */
const deadLockAge = 60_000
/** Bytes set aside before the CSR leaves: a full disk must not cost the certificate that comes back. */
const reservedBytes = 64 * 1024
const largestFile = 1024 * 1024
const version = /^v[0-9]{14}-[0-9a-f]{8}$/

/**
 * Identities as folders: `<home>/<profile>/versions/<id>/` holds one whole identity, `pointer.json` names the one that counts,
 * `current` is a link to it for other programs, and `pending/` holds what waits for its certificate. A commit writes a new
 * version, puts it on disk, and renames one pointer; whatever dies in between leaves the identity before it in place.
 */
export class FolderStore implements IdentityStore {
  readonly #deps: FolderStoreDeps

  constructor(deps: FolderStoreDeps) {
    this.#deps = deps
  }

  async ready(): Promise<void> {
    const { home, userId } = this.#deps
    await makeOwnFolder(home, userId)
    await this.#files(`write to ${home}`, () => access(home, constants.W_OK | constants.X_OK))
  }

  async list(): Promise<string[]> {
    for (const profile of await this.#profilesWith('pending')) await this.#sweep(profile)
    return this.#profilesWith('pointer.json')
  }

  async listPending(): Promise<string[]> {
    return this.#profilesWith('pending')
  }

  async has(profile: string): Promise<boolean> {
    checkProfileName(profile)
    return (await this.#guard()) && (await exists(this.#path(profile, 'pointer.json')))
  }

  async load(profile: string): Promise<Identity> {
    checkProfileName(profile)
    const there = await this.#guard(profile)
    if (there) await this.#sweep(profile)
    try {
      const pointer = there ? await this.#pointer(profile) : undefined
      if (pointer !== undefined) return await this.#read(profile, pointer.current)
    } catch (error) {
      throw error instanceof IdentityUnusableError && error.hints.length === 0
        ? error.addHint(`pair again with a new token URL: kyconnect pair --force --profile ${profile} --url -`)
        : error
    }
    throw this.#none(profile)
  }

  async lock(profile: string): Promise<Lock> {
    return this.#lock(profile, lockTimeoutMs)
  }

  async begin(pending: Pending): Promise<void> {
    const folder = this.#path(pending.profile, 'pending')
    await this.#files(`write ${folder}`, async () => {
      await this.discard(pending.profile)
      const unfinished = `${folder}.${this.#deps.randomHex(4)}`
      await makeFolder(unfinished)
      try {
        await Promise.all([
          writeOwnFile(join(unfinished, 'key.pem'), keyToPem(pending.key)),
          writeOwnFile(join(unfinished, 'pairing.json'), formatPending(pending)),
          ...(pending.route.serverCa === null
            ? []
            : [writeOwnFile(join(unfinished, 'server-ca.pem'), pending.route.serverCa)]),
          writeOwnFile(join(unfinished, 'reserved'), Buffer.alloc(reservedBytes, 0x20)),
        ])
        await syncFolder(unfinished)
        await rename(unfinished, folder)
      } catch (error) {
        await rm(unfinished, { recursive: true, force: true })
        throw error
      }
      await syncFolder(this.#path(pending.profile))
    })
  }

  async pending(profile: string): Promise<Pending | undefined> {
    checkProfileName(profile)
    const folder = this.#path(profile, 'pending')
    if (!(await this.#guard(profile)) || !(await exists(folder))) return undefined
    const [json, key, serverCa] = await this.#files(`read ${folder}`, () =>
      Promise.all([
        readText(join(folder, 'pairing.json')),
        readText(join(folder, 'key.pem')),
        readText(join(folder, 'server-ca.pem')),
      ]),
    )
    if (json === undefined || key === undefined) return undefined
    return parsePending(json, join(folder, 'pairing.json'), createPrivateKey(key), serverCa ?? null)
  }

  async discard(profile: string): Promise<void> {
    const folder = this.#path(profile, 'pending')
    await this.#files(`remove ${folder}`, async () => {
      // Moved aside first: half a pending pairing is none.
      const aside = `${folder}.${this.#deps.randomHex(4)}`
      try {
        await rename(folder, aside)
      } catch (error) {
        if (hasErrorCode(error, 'ENOENT')) return
        throw error
      }
      await rm(aside, { recursive: true, force: true })
    })
  }

  async commit(metadata: Metadata, material: Material): Promise<Identity> {
    const { profile, route } = metadata
    return this.#files(`store the identity in ${this.#path(profile)}`, async () => {
      // A damaged pointer is what a replacement mends.
      const before = await this.#pointer(profile).catch((error: unknown) => {
        if (error instanceof IdentityUnusableError) return undefined
        throw error
      })
      await unlink(this.#path(profile, 'pending', 'reserved')).catch(() => undefined)
      const id = this.#newVersion()
      const folder = this.#path(profile, 'versions', id)
      await makeFolder(this.#path(profile, 'versions')).then(
        () => syncFolder(this.#path(profile)),
        (error: unknown) => {
          if (!hasErrorCode(error, 'EEXIST')) throw error
        },
      )
      await makeFolder(folder)
      try {
        await Promise.all([
          writeOwnFile(join(folder, 'key.pem'), material.key),
          writeOwnFile(join(folder, 'client.crt'), material.leaf),
          writeOwnFile(join(folder, 'chain.crt'), material.chain),
          writeOwnFile(join(folder, 'ca.crt'), material.ca),
          writeOwnFile(join(folder, 'identity.json'), formatMetadata(metadata)),
          ...(route.serverCa === null ? [] : [writeOwnFile(join(folder, 'server-ca.pem'), route.serverCa)]),
        ])
        await Promise.all([syncFolder(folder), syncFolder(this.#path(profile, 'versions'))])
        await this.#point(profile, { current: id, previous: before?.current ?? null })
      } catch (error) {
        // The pointer's rename is the point of no return: what fails after it removes nothing, nor what fails at an unknown time.
        const isCommitted = await this.#pointer(profile).then(
          (pointer) => pointer?.current === id,
          () => true,
        )
        if (!isCommitted) await rm(folder, { recursive: true, force: true })
        throw error
      }
      // It is committed: what fails from here on, the next command mends.
      await this.#refresh(profile, id).catch(() => undefined)
      await this.discard(profile).catch(() => undefined)
      await this.#prune(profile).catch(() => undefined)
      return { metadata, material, directory: this.#path(profile, 'current') }
    })
  }

  async update(identity: Identity, metadata: Metadata): Promise<Identity> {
    const { profile } = identity.metadata
    return this.#files(`store the endpoints in ${this.#path(profile)}`, async () => {
      const pointer = await this.#pointer(profile)
      if (pointer === undefined) throw new NoIdentityError(`the profile "${profile}" has gone`)
      const file = this.#path(profile, 'versions', pointer.current, 'identity.json')
      await replaceOwnFile(file, formatMetadata(metadata), `${file}.${this.#deps.randomHex(4)}`)
      return { ...identity, metadata }
    })
  }

  async rollback(profile: string): Promise<Identity> {
    if (!(await this.has(profile))) throw this.#none(profile)
    const pointer = await this.#pointer(profile)
    const previous = pointer?.previous ?? null
    if (pointer === undefined || previous === null) {
      throw new NoIdentityError(`there is no identity before the present one under the profile "${profile}"`, {
        hints: ['only the identity that the last "pair --force" replaced is kept'],
      })
    }
    return this.#files(`restore the identity in ${this.#path(profile)}`, async () => {
      const identity = await this.#read(profile, previous)
      await this.#point(profile, { current: previous, previous: pointer.current })
      await this.#refresh(profile, previous)
      return identity
    })
  }

  /**
   * The lock's files are beside the profiles, in `.locks/<profile>/`, where they stay: so the profile's own folder is made, and removed,
   * by the process that holds the lock. No profile's name begins with a full stop.
   */
  async #lock(profile: string, patienceMs: number): Promise<HeldLock> {
    checkProfileName(profile)
    const { home, userId } = this.#deps
    const [folder, locks] = [this.#path(profile), join(home, '.locks')]
    for (const needed of [home, locks, join(locks, profile)]) await makeOwnFolder(needed, userId)
    const lock = await this.#files(`lock ${folder}`, () =>
      takeLock(lockFilesIn(join(locks, profile), join(folder, 'lock')), profile, this.#deps, patienceMs),
    )
    const release = async (): Promise<void> => {
      // A pairing that came to nothing leaves nothing. This fails, as it should, when the folder is not empty.
      await lock.assertHeld().then(
        () => rmdir(folder).catch(() => undefined),
        () => undefined,
      )
      await lock.release()
    }
    try {
      await makeOwnFolder(folder, userId)
    } catch (error) {
      await release()
      throw error
    }
    return { ...lock, release }
  }

  #path(profile: string, ...rest: string[]): string {
    return join(this.#deps.home, profile, ...rest)
  }

  #none(profile: string): NoIdentityError {
    return new NoIdentityError(`no identity is stored under the profile "${profile}"`, {
      hints: [
        `get a token URL from the administrator of the cluster, then: kyconnect pair --profile ${profile} --url -`,
      ],
      details: { profile, home: this.#deps.home },
    })
  }

  #newVersion(): string {
    const stamp = this.#deps.now().toISOString().replace(/\D/g, '').slice(0, 14)
    return `v${stamp}-${this.#deps.randomHex(4)}`
  }

  /** @returns whether home, and the profile's folder when one is named, are there */
  async #guard(profile?: string): Promise<boolean> {
    if (!(await checkOwnFolder(this.#deps.home, this.#deps.userId))) return false
    return profile === undefined || checkOwnFolder(this.#path(profile), this.#deps.userId)
  }

  async #profilesWith(entry: string): Promise<string[]> {
    if (!(await this.#guard())) return []
    const names = await this.#files(`read ${this.#deps.home}`, () => readdir(this.#deps.home))
    const found = await Promise.all(
      names.filter(isProfileName).map(async (name) => ((await exists(this.#path(name, entry))) ? [name] : [])),
    )
    return found.flat().sort()
  }

  async #pointer(profile: string): Promise<Pointer | undefined> {
    const file = this.#path(profile, 'pointer.json')
    const text = await this.#files(`read ${file}`, () => readText(file))
    if (text === undefined) return undefined
    const pointer = parsePointer(text)
    if (pointer !== undefined) return pointer
    throw new IdentityUnusableError(`${file} is damaged`)
  }

  async #point(profile: string, pointer: Pointer): Promise<void> {
    const file = this.#path(profile, 'pointer.json')
    const temporary = `${file}.${this.#deps.randomHex(4)}`
    try {
      await replaceOwnFile(file, `${JSON.stringify(pointer)}\n`, temporary)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  async #read(profile: string, id: string): Promise<Identity> {
    const folder = this.#path(profile, 'versions', id)
    const [json, key, leaf, chain, ca, serverCa] = await this.#files(`read ${folder}`, () =>
      Promise.all(
        ['identity.json', 'key.pem', 'client.crt', 'chain.crt', 'ca.crt', 'server-ca.pem'].map((name) =>
          readText(join(folder, name)),
        ),
      ),
    )
    if (json === undefined || key === undefined || leaf === undefined || chain === undefined || ca === undefined) {
      throw unusable(folder, 'a file is missing')
    }
    const metadata = parseMetadata(json, join(folder, 'identity.json'), serverCa ?? null)
    if (!fits(leaf, key)) throw unusable(folder, 'its key and certificate do not belong together')
    return { metadata, material: { key, leaf, chain, ca }, directory: this.#path(profile, 'current') }
  }

  /**
   * Points `current` at a version: a link that is replaced in one step. Where there are no links it is a copy, and for an
   * instant there is none: no file system replaces one full folder by another.
   */
  async #refresh(profile: string, id: string): Promise<void> {
    const current = this.#path(profile, 'current')
    const fresh = `${current}.${this.#deps.randomHex(4)}`
    try {
      await this.#deps.makeLink(join('versions', id), fresh, 'dir')
    } catch (error) {
      if (!hasErrorCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'UNKNOWN')) throw error
      await cp(this.#path(profile, 'versions', id), fresh, { recursive: true })
    }
    try {
      await rename(fresh, current)
    } catch (error) {
      if (!hasErrorCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST', 'EPERM')) throw error
      const stale = `${fresh}.stale`
      await rename(current, stale)
      await rename(fresh, current)
      await rm(stale, { recursive: true, force: true })
    }
    await syncFolder(this.#path(profile))
  }

  /** Mends what a crash left behind: a `current` that lags, a token past its life. Left alone while another process works on it. */
  async #sweep(profile: string): Promise<void> {
    const lock = (await this.#needsSweep(profile)) && (await this.#lock(profile, 0).catch(() => undefined))
    if (!lock) return
    try {
      const pointer = await this.#pointer(profile)
      if (pointer !== undefined && (await this.#lags(profile, pointer))) await this.#refresh(profile, pointer.current)
      if (await this.#overdue(profile)) await this.discard(profile)
      await this.#prune(profile)
    } catch {
      // Mending may fail (a read-only disk); the identity itself is there and can be used.
    } finally {
      await lock.release()
    }
  }

  async #needsSweep(profile: string): Promise<boolean> {
    if (await this.#overdue(profile)) return true
    const pointer = await this.#pointer(profile).catch(() => undefined)
    return pointer !== undefined && this.#lags(profile, pointer)
  }

  async #lags(profile: string, pointer: Pointer): Promise<boolean> {
    const current = this.#path(profile, 'current')
    const target = await readlink(current).catch(() => undefined)
    if (target !== undefined) return target !== join('versions', pointer.current)
    const [copy, truth] = await Promise.all([
      readText(join(current, 'client.crt')).catch(() => undefined),
      readText(this.#path(profile, 'versions', pointer.current, 'client.crt')).catch(() => undefined),
    ])
    return copy === undefined || copy !== truth
  }

  async #overdue(profile: string): Promise<boolean> {
    return (await this.#age(this.#path(profile, 'pending'))) > pendingLife
  }

  /** Milliseconds since it was changed; 0 for what is not there. */
  async #age(path: string): Promise<number> {
    const found = await lstat(path).catch(() => undefined)
    return found === undefined ? 0 : this.#deps.now().getTime() - found.mtimeMs
  }

  /** Removes versions that nothing points to and what unfinished writes left. */
  async #prune(profile: string): Promise<void> {
    const pointer = await this.#pointer(profile)
    const keep = new Set([pointer?.current, pointer?.previous])
    const versions = await readdir(this.#path(profile, 'versions')).catch((): string[] => [])
    const entries = await readdir(this.#path(profile))
    const unfinished = entries.filter((name) => /^(pending|current|pointer\.json)\.[0-9a-f]{8}(\.stale)?$/.test(name))
    // Another process may be waiting with a young one.
    const locks = await Promise.all(
      entries
        .filter((name) => /^lock\.[0-9a-f]{16}(\.dead)?$/.test(name))
        .map(async (name) => ((await this.#age(this.#path(profile, name))) > deadLockAge ? [name] : [])),
    )
    await Promise.all(
      [
        ...versions.filter((id) => version.test(id) && !keep.has(id)).map((id) => this.#path(profile, 'versions', id)),
        ...[...unfinished, ...locks.flat()].map((name) => this.#path(profile, name)),
      ].map((path) => rm(path, { recursive: true, force: true })),
    )
  }

  async #files<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw error instanceof KyconnectError ? error : filesError(error, doing)
    }
  }
}

function parsePointer(text: string): Pointer | undefined {
  try {
    const parsed = parseJsonObject(text)
    if (parsed === undefined) return undefined
    const [current, previous] = [valueOf(parsed, 'current'), valueOf(parsed, 'previous')]
    if (typeof current !== 'string' || !version.test(current)) return undefined
    return { current, previous: typeof previous === 'string' && version.test(previous) ? previous : null }
  } catch {
    return undefined
  }
}

function fits(leaf: string, key: string): boolean {
  try {
    return new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

function unusable(folder: string, why: string): IdentityUnusableError {
  return new IdentityUnusableError(`the identity in ${folder} cannot be used: ${why}`)
}

/** A small text file; undefined when it is not there. */
async function readText(path: string): Promise<string | undefined> {
  let file
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    const { size } = await file.stat()
    if (size > largestFile) throw new IdentityUnusableError(`${path} is too large to be ours`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: unknown) => {
      if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return false
      throw filesError(error, `read ${path}`)
    },
  )
}
