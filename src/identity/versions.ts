import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode, IdentityUnusableError } from '../errors.js'
import { makeFolder, onFiles, syncFolder, writeFolder } from './durable-files.js'
import { decodeIdentity, encodeIdentity, identityFiles } from './identity-codec.js'
import type { Identity, Material, Metadata } from './identity.js'
import { checkInnerFolder, readOwnFile } from './own-files.js'
import { isVersion } from './pointer.js'
import { currentPath, type ProfileFolder, versionPath } from './profile-folder.js'

/** Writes a new version, and returns its name once all of it is on disk. No pointer names it yet. */
export async function writeVersion(profile: ProfileFolder, metadata: Metadata, material: Material): Promise<string> {
  const versions = join(profile.path, 'versions')
  await makeFolder(versions).catch((error: unknown) => {
    if (!hasErrorCode(error, 'EEXIST')) throw error
  })
  await checkInnerFolder(versions, profile.userId)
  const stamp = profile.now().toISOString().replace(/\D/g, '').slice(0, 14)
  const version = `v${stamp}-${profile.randomHex(4)}`
  await writeFolder(join(versions, version), join(versions, `new-${version}`), encodeIdentity(metadata, material))
  await syncFolder(versions)
  await syncFolder(profile.path)
  return version
}

/** @throws IdentityUnusableError, HomeUnsafeError */
export async function readVersion(profile: ProfileFolder, version: string): Promise<Identity> {
  const folder = versionPath(profile, version)
  await onFiles(`read ${folder}`, async () => {
    await checkInnerFolder(join(profile.path, 'versions'), profile.userId)
    if (!(await checkInnerFolder(folder, profile.userId)))
      throw new IdentityUnusableError(`the identity in ${folder} cannot be used: the folder is missing`)
  })
  return { ...(await readIdentityFolder(folder, profile)), directory: currentPath(profile) }
}

/** Reads the files of an identity from any folder. @throws IdentityUnusableError, HomeUnsafeError */
export async function readIdentityFolder(
  folder: string,
  { profile, userId }: Pick<ProfileFolder, 'profile' | 'userId'>,
): Promise<Pick<Identity, 'metadata' | 'material'>> {
  const texts = await onFiles(`read ${folder}`, () =>
    Promise.all(identityFiles.map(async (name) => [name, await readOwnFile(join(folder, name), userId)] as const)),
  )
  return decodeIdentity(Object.fromEntries(texts), profile, folder)
}

/** Deletes retired versions, and unfinished versions that a crash left. Everything else in the folder stays. */
export async function deleteVersions(profile: ProfileFolder, retired: readonly string[]): Promise<void> {
  const versions = join(profile.path, 'versions')
  const entries = await readdir(versions).catch((): string[] => [])
  const unfinished = entries.filter((name) => name.startsWith('new-') && isVersion(name.slice('new-'.length)))
  await Promise.all(
    [...retired, ...unfinished].map((name) => rm(join(versions, name), { recursive: true, force: true })),
  )
}
