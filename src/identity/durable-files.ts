import { chmod, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errorCodeOf, FilesError, hasErrorCode, KyconnectError } from '../errors.js'
import type { EncodedFiles } from './identity-codec.js'
import { checkReadable } from './own-files.js'

/** Writes a new file that only we can read, whatever the umask, and returns when it is on disk. */
export async function writeOwnFile(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.chmod(0o600)
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Creates a folder that only we can enter, whatever the umask. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 })
  await chmod(path, 0o700)
}

/**
 * Creates a folder with these files in one step: it gets its name once all of it is on disk. The caller syncs the parent folder.
 * @param temporary the path under which the folder is written first, in the same parent
 * @throws IdentityUnusableError when a file would be too large to be read back
 */
export async function writeFolder(
  path: string,
  temporary: string,
  files: Readonly<Record<string, string | Uint8Array>> | EncodedFiles,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) checkReadable(join(path, name), content)
  await makeFolder(temporary)
  try {
    await Promise.all(Object.entries(files).map(([name, content]) => writeOwnFile(join(temporary, name), content)))
    await syncFolder(temporary)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
    throw error
  }
}

/**
 * Replaces a file in one step: readers see all of the old content or all of the new.
 * @returns what failed after the rename: the file is replaced, but may not survive a power failure
 * @throws what failed before: nothing has changed; IdentityUnusableError when the file would be too large to be read back
 */
export async function replaceOwnFile(path: string, content: string, temporary: string): Promise<unknown> {
  checkReadable(path, content)
  try {
    await writeOwnFile(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  // The point of no return is behind us.
  try {
    await syncFolder(dirname(path))
    return undefined
  } catch (error) {
    return error
  }
}

/** Syncs a folder, so that the names in it are on disk. Some platforms cannot open folders, and do not need to. */
export async function syncFolder(path: string): Promise<void> {
  let folder
  try {
    folder = await open(path, 'r')
  } catch (error) {
    if (hasErrorCode(error, 'EISDIR', 'EPERM', 'EACCES')) return
    throw error
  }
  try {
    await folder.sync()
  } catch (error) {
    if (!hasErrorCode(error, 'EPERM', 'EINVAL', 'EISDIR', 'ENOTSUP')) throw error
  } finally {
    await folder.close()
  }
}

/** Runs work on files, and turns what the file system reports into an error as {@link filesError} does. */
export async function onFiles<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    // An error without a code is a bug in kyconnect, and is reported as such.
    throw errorCodeOf(error) === '' ? error : filesError(error, doing)
  }
}

/** Turns what the file system reported into an error that names the place and a way out. @param doing completes "could not …" */
export function filesError(error: unknown, doing: string): KyconnectError {
  if (error instanceof KyconnectError) return error
  const reason = errorCodeOf(error)
  const context = (...hints: string[]) => ({ cause: error, hints, reason })
  switch (reason) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new FilesError(
        `could not ${doing}: no space left`,
        context('free some space, or name another place with KYCONNECT_HOME'),
      )
    case 'EROFS':
      return new FilesError(
        `could not ${doing}: the file system is read-only`,
        context('name a writable place with KYCONNECT_HOME'),
      )
    case 'EACCES':
    case 'EPERM':
      return new FilesError(
        `could not ${doing}: permission denied`,
        context('check the owner and the permissions, or name another place with KYCONNECT_HOME'),
      )
    default:
      return new FilesError(
        `could not ${doing}: ${reason === '' ? String(error) : reason}`,
        context('check the folder, or name another place with KYCONNECT_HOME'),
      )
  }
}
