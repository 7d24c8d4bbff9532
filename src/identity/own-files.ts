import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, type Stats } from 'node:fs'
import { HomeUnsafeError, IdentityUnusableError, hasErrorCode } from '../errors.js'
import { shellWord } from '../shell-word.js'

/**
 * Reads the store's own files with the care that ssh takes: a file that is not ours, is not a plain file, or is a key that others may
 * read, is refused before a byte of it is used.
 */

/** A whole identity takes less than a tenth of this. */
const maxFileBytes = 1024 * 1024

/** Refuses to write what would not be read back. @throws IdentityUnusableError */
export function checkReadable(path: string, content: string | Uint8Array): void {
  if (Buffer.byteLength(content) <= maxFileBytes) return
  throw new IdentityUnusableError(
    `${path} would be too large: kyconnect reads no file larger than ${maxFileBytes / 1024} KiB`,
    { hints: ['inform the administrator of the cluster: its services name URLs or a subject that are much too long'] },
  )
}

/** A link is not followed, and a FIFO does not make us wait for a writer. Windows has neither flag: undefined counts as 0 here. */
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * The text of a file of ours; undefined when it does not exist.
 * @param userId ours; undefined where the platform has no user ids
 * @throws HomeUnsafeError when it is a link, FIFO or device, belongs to another user, or is a key that others may read;
 *   IdentityUnusableError when it is too large
 */
export function readOwnFile(path: string, userId: number | undefined): Promise<string | undefined> {
  return new Promise((resolve) => {
    resolve(readOwnFileSync(path, userId))
  })
}

/** The same, synchronously: the files are small, and waiting for the thread pool takes longer than reading one. @throws as readOwnFile */
export function readOwnFileSync(path: string, userId: number | undefined): string | undefined {
  let fd
  try {
    fd = openSync(path, flags)
  } catch (error) {
    rethrowUnlessMissing(error, path)
    return undefined
  }
  try {
    checkOwnFile(path, fstatSync(fd), userId)
    return readFileSync(fd, 'utf8')
  } finally {
    closeSync(fd)
  }
}

/** ENOENT means that there is no file; a link cannot be opened (ELOOP), and neither can a socket (ENXIO). */
function rethrowUnlessMissing(error: unknown, path: string): void {
  if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return
  if (hasErrorCode(error, 'ELOOP', 'EMLINK', 'ENXIO')) throw notPlain(path)
  throw error
}

function checkOwnFile(path: string, found: Stats, userId: number | undefined): void {
  if (!found.isFile()) throw notPlain(path)
  if (found.size > maxFileBytes)
    throw new IdentityUnusableError(
      `${path} is too large: kyconnect writes no file larger than ${maxFileBytes / 1024} KiB`,
    )
  if (userId === undefined) return
  checkOwner(path, found, userId)
  if (path.endsWith('key.pem') && (found.mode & 0o077) !== 0) {
    throw new HomeUnsafeError(
      `the permissions of ${path} are too open: mode ${octal(found.mode)} lets other users access the private key`,
      { hints: [`run: chmod 600 ${shellWord(path)}`] },
    )
  }
}

/**
 * Refuses a folder of ours inside the home that is a link, belongs to another user, or may be written by others.
 * @returns whether it exists
 * @throws HomeUnsafeError
 */
export function checkInnerFolder(path: string, userId: number | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    resolve(checkInnerFolderSync(path, userId))
  })
}

function checkInnerFolderSync(path: string, userId: number | undefined): boolean {
  let found
  try {
    found = lstatSync(path)
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
  if (!found.isDirectory()) {
    throw new HomeUnsafeError(`${path} is not a folder`, { hints: ['move it away, and run the command again'] })
  }
  checkFolder(path, found, userId)
  return true
}

/** Refuses a folder that belongs to another user, or that others may write to: they could put their own key there. @throws HomeUnsafeError */
export function checkFolder(path: string, found: Stats, userId: number | undefined): void {
  if (userId === undefined) return
  checkOwner(path, found, userId)
  if ((found.mode & 0o022) !== 0) {
    throw new HomeUnsafeError(
      `the permissions of ${path} are too open: mode ${octal(found.mode)} lets other users write to it`,
      {
        hints: [`run: chmod go-w ${shellWord(path)}`],
      },
    )
  }
}

/** As for ssh, what belongs to root counts as ours: root could change our files anyway. */
function checkOwner(path: string, { uid }: Stats, userId: number): void {
  if (uid === userId || uid === 0) return
  throw new HomeUnsafeError(`${path} belongs to another user (uid ${uid}; this process runs as ${userId})`, {
    hints: [`run: chown ${userId} ${shellWord(path)}`, 'or name another place with KYCONNECT_HOME'],
  })
}

function notPlain(path: string): HomeUnsafeError {
  return new HomeUnsafeError(`${path} is not a plain file`, {
    hints: ['move it away, and run the command again: kyconnect creates no link, FIFO or device there'],
  })
}

function octal(mode: number): string {
  return `0${(mode & 0o777).toString(8)}`
}
