import { lstatSync } from 'node:fs'
import { rename, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '../errors.js'
import { onFiles, syncFolder, writeFolder } from './durable-files.js'
import { decodePending, encodePending, pendingFiles } from './identity-codec.js'
import type { Pending } from './identity.js'
import { checkInnerFolder, readOwnFile } from './own-files.js'
import { pendingPath, type ProfileFolder } from './profile-folder.js'

/** Milliseconds for which the token of a csrUrl is valid (docs/contract.md §4); after that it must not stay on disk. */
const lifetimeMs = 5 * 60_000
/** Bytes reserved before the CSR is sent, so that the certificate can be stored even if the disk fills up meanwhile. */
export const reservedBytes = 64 * 1024

/** Stores a pending pairing, completely or not at all, after deleting the one that was pending before. */
export async function writePending(profile: ProfileFolder, pending: Pending): Promise<void> {
  const folder = pendingPath(profile)
  await deletePending(profile)
  await writeFolder(folder, `${folder}.${profile.randomHex(4)}`, {
    ...encodePending(pending),
    reserved: Buffer.alloc(reservedBytes, 0x20),
  })
  await syncFolder(profile.path)
}

/** @throws IdentityUnusableError, HomeUnsafeError */
export async function readPending(profile: ProfileFolder): Promise<Pending | undefined> {
  const folder = pendingPath(profile)
  const texts = await onFiles(`read ${folder}`, async () => {
    if (!(await checkInnerFolder(folder, profile.userId))) return undefined
    return Promise.all(
      pendingFiles.map(async (name) => [name, await readOwnFile(join(folder, name), profile.userId)] as const),
    )
  })
  return texts === undefined ? undefined : decodePending(Object.fromEntries(texts), profile.profile, folder)
}

/** Frees the space that was reserved for the answer. */
export async function releaseReserved(profile: ProfileFolder): Promise<void> {
  await unlink(join(pendingPath(profile), 'reserved')).catch(() => undefined)
}

export async function deletePending(profile: ProfileFolder): Promise<void> {
  // Renamed first, so that a partly deleted pending pairing is never read.
  const folder = pendingPath(profile)
  const aside = `${folder}.${profile.randomHex(4)}`
  try {
    await rename(folder, aside)
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return
    throw error
  }
  await rm(aside, { recursive: true, force: true })
}

/** Whether there is a pending pairing whose token has expired. */
export function hasPendingExpired(profile: ProfileFolder): boolean {
  try {
    const found = lstatSync(pendingPath(profile), { throwIfNoEntry: false })
    return found !== undefined && profile.now().getTime() - found.mtimeMs > lifetimeMs
  } catch {
    return false
  }
}
