import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { currentIsForeign, currentLags, type MakeLink, pointCurrent } from './current-link.js'
import { deletePending, pendingIsOver } from './pending-folder.js'
import { type Pointer, readPointer, replacePointer } from './pointer.js'
import type { ProfileFolder } from './profile-folder.js'
import { deleteVersions } from './versions.js'

/** Whether a crash, or time, has left something to repair. Reads only. */
export async function needsMending(profile: ProfileFolder): Promise<boolean> {
  if (await pendingIsOver(profile)) return true
  const pointer = await readPointer(profile).catch(() => undefined)
  return pointer !== undefined && (pointer.retired.length > 0 || (await currentLags(profile, pointer.current)))
}

/**
 * Repairs what a crash left behind: a `current` that lags behind the pointer, versions that were retired, unfinished files, and a token
 * past its life. Called with the profile's lock held.
 */
export async function mendProfile(profile: ProfileFolder, makeLink: MakeLink): Promise<void> {
  const pointer = await readPointer(profile)
  if (pointer !== undefined && (await currentLags(profile, pointer.current)) && !(await currentIsForeign(profile)))
    await pointCurrent(profile, pointer.current, makeLink)
  if (await pendingIsOver(profile)) await deletePending(profile)
  await tidy(profile, pointer)
}

/** Deletes what is provably ours and not needed: retired versions and unfinished files. */
export async function tidy(profile: ProfileFolder, pointer: Pointer | undefined): Promise<void> {
  await deleteVersions(profile, pointer?.retired ?? [])
  if (pointer !== undefined && pointer.retired.length > 0) await replacePointer(profile, { ...pointer, retired: [] })
  await deleteUnfinished(profile)
}

/** Deletes files that were never finished. */
export async function deleteUnfinished(profile: ProfileFolder): Promise<void> {
  const entries = await readdir(profile.path)
  const unfinished = entries.filter((name) =>
    /^(?:(?:pending|current|pointer\.json)\.[0-9a-f]{8}|current\.stale-[0-9a-f]{8}|current\.[0-9a-f]{8}\.stale)$/.test(
      name,
    ),
  )
  await Promise.all(unfinished.map((name) => rm(join(profile.path, name), { recursive: true, force: true })))
}
