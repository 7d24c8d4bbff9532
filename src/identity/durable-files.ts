import { chmod, mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCodeOf, FilesError, hasErrorCode, KyconnectError } from '../errors.js'

/** Writes a file that only we can read, whatever the umask, and returns when it is on disk. It must not be there yet. */
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

/** Makes a folder that only we can enter, whatever the umask. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 })
  await chmod(path, 0o700)
}

/** Replaces a file in one step: readers see the old content or the new one, never a part. */
export async function replaceOwnFile(path: string, content: string, temporary: string): Promise<void> {
  await writeOwnFile(temporary, content)
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/** Puts the names in a folder on disk. Some platforms cannot open folders, and need not. */
export async function syncFolder(path: string): Promise<void> {
  let folder
  try {
    folder = await open(path, 'r')
  } catch {
    return
  }
  try {
    await folder.sync()
  } catch (error) {
    if (!hasErrorCode(error, 'EPERM', 'EINVAL', 'EISDIR', 'ENOTSUP')) throw error
  } finally {
    await folder.close()
  }
}

/** What the file system said, as an error that names the place and the way out. `doing` completes "could not …". */
export function filesError(error: unknown, doing: string): KyconnectError {
  if (error instanceof KyconnectError) return error
  const code = errorCodeOf(error)
  const context = (hint: string) => ({ cause: error, hints: [hint], reason: code })
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new FilesError(
        `could not ${doing}: no space is left`,
        context('make room, or name another place with KYCONNECT_HOME'),
      )
    case 'EROFS':
      return new FilesError(
        `could not ${doing}: the file system is read-only`,
        context('name a place that can be written with KYCONNECT_HOME'),
      )
    case 'EACCES':
    case 'EPERM':
      return new FilesError(
        `could not ${doing}: no permission`,
        context('check who owns it, or name another place with KYCONNECT_HOME'),
      )
    default:
      return new FilesError(
        `could not ${doing}: ${code === '' ? String(error) : code}`,
        context('check the folder, or name another place with KYCONNECT_HOME'),
      )
  }
}
