import type { symlink } from 'node:fs/promises'
import { readlinkSync } from 'node:fs'
import { cp, lstat, readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { hasErrorCode } from '../errors.js'
import { syncFolder } from './durable-files.js'
import { readOwnFile } from './own-files.js'
import { isVersion } from './pointer.js'
import { currentPath, type ProfileFolder, versionPath } from './profile-folder.js'

/** Creates a symbolic link; fails where the platform has none. */
export type MakeLink = typeof symlink

/**
 * Points `current` at a version. It is a link, which is replaced in one step. Where links cannot be created it is a copy, which is absent
 * for a moment: no file system replaces a folder with files in it in one step.
 */
export async function pointCurrent(profile: ProfileFolder, version: string, makeLink: MakeLink): Promise<void> {
  const current = currentPath(profile)
  const fresh = `${current}.${profile.randomHex(4)}`
  try {
    await makeLink(join('versions', version), fresh, 'dir')
  } catch (error) {
    if (!hasErrorCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'UNKNOWN')) throw error
    await cp(versionPath(profile, version), fresh, { recursive: true })
  }
  try {
    // A rename replaces a file without a word.
    if (await currentIsForeign(profile)) await moveAside(profile, current)
    await rename(fresh, current)
  } catch (error) {
    if (!hasErrorCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOTDIR')) throw error
    await moveAside(profile, current)
    await rename(fresh, current)
  }
  await syncFolder(profile.path)
}

/** Whether `current` is missing or shows another version than this one. */
export async function currentLags(profile: ProfileFolder, version: string): Promise<boolean> {
  const current = currentPath(profile)
  const target = linkTarget(current)
  if (target !== undefined) return target !== join('versions', version)
  return !(await isSameIdentity(profile, current, versionPath(profile, version)))
}

/** The version that `current` links to; undefined when it is not such a link. */
export function linkedVersion(profile: ProfileFolder): string | undefined {
  const target = linkTarget(currentPath(profile)) ?? ''
  const version = basename(target)
  return isVersion(version) && target === join('versions', version) ? version : undefined
}

/** undefined when it is not a link. */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** Whether `current` is a file of the user's, or a folder whose key belongs to none of the versions: a restored copy. It must never be deleted. */
export async function currentIsForeign(profile: ProfileFolder): Promise<boolean> {
  const current = currentPath(profile)
  const found = await lstat(current).catch(() => undefined)
  if (found === undefined || found.isSymbolicLink()) return false
  if (!found.isDirectory()) return true
  const versions = await readdir(join(profile.path, 'versions')).catch((): string[] => [])
  for (const version of versions)
    if (await isSameIdentity(profile, current, versionPath(profile, version))) return false
  return true
}

/** Deletes a copy of one of our versions; keeps anything else under another name. */
async function moveAside(profile: ProfileFolder, current: string): Promise<void> {
  const foreign = await currentIsForeign(profile)
  const aside = `${current}.${foreign ? 'kept' : 'stale'}-${profile.randomHex(4)}`
  await rename(current, aside)
  if (!foreign) await rm(aside, { recursive: true, force: true })
}

/** The same certificate and the same key: where one of them lost its key, the other has the only one. */
async function isSameIdentity({ userId }: ProfileFolder, one: string, other: string): Promise<boolean> {
  const read = (folder: string): Promise<(string | undefined)[]> =>
    Promise.all(['client.crt', 'key.pem'].map((name) => readOwnFile(join(folder, name), userId).catch(() => undefined)))
  const [left, right] = await Promise.all([read(one), read(other)])
  return left.every((text, index) => text !== undefined && text === right[index])
}
