import type { symlink } from 'node:fs/promises'
import { cp, lstat, readdir, readlink, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { hasErrorCode } from '../errors.js'
import { syncFolder } from './durable-files.js'
import { readOwnFile } from './own-files.js'
import { isVersion } from './pointer.js'
import { currentPath, type ProfileFolder, versionPath } from './profile-folder.js'

/** Makes a symbolic link; fails where the platform has none. */
export type MakeLink = typeof symlink

/**
 * Points `current` at a version: a link that is replaced in one step. Where there are no links it is a copy, and for a moment there is
 * none: no file system replaces one full folder by another.
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
    await rename(fresh, current)
  } catch (error) {
    if (!hasErrorCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOTDIR')) throw error
    await moveAside(profile, current)
    await rename(fresh, current)
  }
  await syncFolder(profile.path)
}

/** Whether `current` does not show this version. */
export async function currentLags(profile: ProfileFolder, version: string): Promise<boolean> {
  const current = currentPath(profile)
  const target = await readlink(current).catch(() => undefined)
  if (target !== undefined) return target !== join('versions', version)
  return !(await sameLeaf(profile, current, versionPath(profile, version)))
}

/** The version that `current` links to; undefined when it is not such a link. */
export async function linkedVersion(profile: ProfileFolder): Promise<string | undefined> {
  const target = await readlink(currentPath(profile)).catch(() => '')
  const version = basename(target)
  return isVersion(version) && target === join('versions', version) ? version : undefined
}

/** Whether `current` is a folder that holds a key of no version here: a copy that somebody restored. It must never be deleted. */
export async function currentIsForeign(profile: ProfileFolder): Promise<boolean> {
  const current = currentPath(profile)
  const found = await lstat(current).catch(() => undefined)
  if (found === undefined || !found.isDirectory()) return false
  const versions = await readdir(join(profile.path, 'versions')).catch((): string[] => [])
  for (const version of versions) if (await sameLeaf(profile, current, versionPath(profile, version))) return false
  return true
}

/** A copy of one of our versions is deleted, anything else is kept under another name. */
async function moveAside(profile: ProfileFolder, current: string): Promise<void> {
  const foreign = await currentIsForeign(profile)
  const aside = `${current}.${foreign ? 'kept' : 'stale'}-${profile.randomHex(4)}`
  await rename(current, aside)
  if (!foreign) await rm(aside, { recursive: true, force: true })
}

async function sameLeaf({ userId }: ProfileFolder, one: string, other: string): Promise<boolean> {
  const [left, right] = await Promise.all(
    [one, other].map((folder) => readOwnFile(join(folder, 'client.crt'), userId).catch(() => undefined)),
  )
  return left !== undefined && left === right
}
