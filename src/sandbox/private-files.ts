/**
 * Files and folders that only one user may have written. Each check is made on the opened file, so that what was checked is what is
 * read: a path could be swapped in between.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  type Stats,
} from 'node:fs'

/** A file or folder cannot be used as a private one; the message says why. */
export class PrivateFileError extends Error {}

/** The largest file that is read or written. */
const MAX_FILE_BYTES = 256 * 1024 * 1024
/** Does not follow a link, and does not wait for the other end of a FIFO. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const OTHERS_MAY_WRITE = 0o022

/** @param ownerId the user who must own the folder; undefined on systems without owners. @throws PrivateFileError, or the system's error */
export function checkPrivateDirectory(directory: string, ownerId: number | undefined): void {
  const descriptor = openInPlace(directory)
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isDirectory()) throw new PrivateFileError(`${directory} is not a folder`)
    checkAccess(directory, stats, ownerId)
  } finally {
    closeSync(descriptor)
  }
}

/** The text of a private file; undefined when there is no file. @throws PrivateFileError, or the system's error */
export function readPrivateFile(path: string, ownerId: number | undefined): string | undefined {
  const descriptor = openIfThere(path)
  if (descriptor === undefined) return undefined
  try {
    const { size } = checkFile(path, descriptor, ownerId)
    if (size > MAX_FILE_BYTES) throw new PrivateFileError(`${path} exceeds ${MAX_FILE_BYTES} bytes`)
    return readText(descriptor, size)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Replaces a private file (0600) in one step: a process that is killed at any moment leaves the old text or the new one.
 *
 * @throws PrivateFileError, or the system's error; the old text is then still in place
 */
export function writePrivateFile(path: string, text: string, ownerId: number | undefined): void {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES)
    throw new PrivateFileError(`${path} would exceed ${MAX_FILE_BYTES} bytes`)
  checkPlace(path, ownerId)
  const temporary = `${path}.new`
  // A killed process may have left this file.
  if (checkPlace(temporary, ownerId)) unlinkSync(temporary)
  const descriptor = openSync(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  )
  try {
    writeFileSync(descriptor, text, { flush: true })
  } finally {
    closeSync(descriptor)
  }
  // From here on the new text is in place.
  renameSync(temporary, path)
}

/** Whether there is a private file at a path. @throws PrivateFileError when something else is there */
function checkPlace(path: string, ownerId: number | undefined): boolean {
  const descriptor = openIfThere(path)
  if (descriptor === undefined) return false
  try {
    checkFile(path, descriptor, ownerId)
    return true
  } finally {
    closeSync(descriptor)
  }
}

function checkFile(path: string, descriptor: number, ownerId: number | undefined): Stats {
  const stats = fstatSync(descriptor)
  if (!stats.isFile()) throw new PrivateFileError(`${path} is not a regular file`)
  checkAccess(path, stats, ownerId)
  return stats
}

function checkAccess(path: string, { uid, mode }: Stats, ownerId: number | undefined): void {
  if (ownerId === undefined) return
  if (uid !== ownerId) throw new PrivateFileError(`${path} belongs to another user`)
  if ((mode & OTHERS_MAY_WRITE) !== 0)
    throw new PrivateFileError(`other users may write to ${path}: run chmod go-w '${path}'`)
}

function openIfThere(path: string): number | undefined {
  try {
    return openInPlace(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function openInPlace(path: string): number {
  try {
    return openSync(path, OPEN_FLAGS)
  } catch (error) {
    if (hasCode(error, 'ELOOP')) throw new PrivateFileError(`${path} is a symbolic link`)
    // A socket cannot be opened.
    if (hasCode(error, 'ENXIO')) throw new PrivateFileError(`${path} is not a regular file`)
    throw error
  }
}

/** Reads no more than the size that was checked, though the file may grow meanwhile. */
function readText(descriptor: number, size: number): string {
  const buffer = Buffer.alloc(size)
  let length = 0
  for (let read = -1; length < size && read !== 0; length += read) {
    read = readSync(descriptor, buffer, length, size - length, null)
  }
  return buffer.toString('utf8', 0, length)
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
