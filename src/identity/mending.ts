import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { currentIsForeign, currentLags, linkedVersion, type MakeLink, pointCurrent } from './current-link.js'
import { deletePending, hasPendingExpired } from './pending-folder.js'
import { type Pointer, readPointer, replacePointer } from './pointer.js'
import type { ProfileFolder } from './profile-folder.js'
import { deleteVersions } from './versions.js'

/** Whether a crash left something to repair, or a pending pairing has expired. Only reads. */
export async function needsMending(profile: ProfileFolder): Promise<boolean> {
  if (hasPendingExpired(profile)) return true
  const pointer = await readPointer(profile).catch(() => undefined)
  return pointer !== undefined && (pointer.retired.length > 0 || (await currentLags(profile, pointer.current)))
}

/** The same, sooner: false is certain. Where links cannot be created, `current` is a copy, which only `needsMending` looks into. */
export function mayNeedMending(profile: ProfileFolder, pointer: Pointer): boolean {
  return pointer.retired.length > 0 || linkedVersion(profile) !== pointer.current || hasPendingExpired(profile)
}

/**
 * Repairs what a crash left behind: a `current` that lags behind the pointer, versions that were retired, unfinished files, and an
 * expired token. The caller holds the profile's lock.
 */
export async function mendProfile(profile: ProfileFolder, makeLink: MakeLink): Promise<void> {
  const pointer = await readPointer(profile)
  if (pointer !== undefined && (await currentLags(profile, pointer.current)) && !(await currentIsForeign(profile)))
    await pointCurrent(profile, pointer.current, makeLink)
  if (hasPendingExpired(profile)) await deletePending(profile)
  await tidy(profile, pointer)
}

/** Deletes what is certainly ours and no longer needed: retired versions and unfinished files. */
export async function tidy(profile: ProfileFolder, pointer: Pointer | undefined): Promise<void> {
  await deleteVersions(profile, pointer?.retired ?? [])
  if (pointer !== undefined && pointer.retired.length > 0) await replacePointer(profile, { ...pointer, retired: [] })
  await deleteUnfinished(profile)
}

/** Deletes files that were never finished. */
export async function deleteUnfinished(profile: ProfileFolder): Promise<void> {
  const entries = await readdir(profile.path)
  const unfinished = entries.filter((name) =>
    /^(?:(?:pending|current|reserved|pointer\.json)\.[0-9a-f]{8}|current\.stale-[0-9a-f]{8}|current\.[0-9a-f]{8}\.stale)$/.test(
      name,
    ),
  )
  await Promise.all(unfinished.map((name) => rm(join(profile.path, name), { recursive: true, force: true })))
}
