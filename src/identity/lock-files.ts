import { link, open, readdir, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '../errors.js'

/** The file operations that the lock needs. Other processes see each of them as one step. */
export interface LockFiles {
  /** The names of all files, read at once: one system call is enough for a folder this small. */
  list(): Promise<string[]>
  /** The content of a file; undefined when it is not there. */
  read(name: string): Promise<string | undefined>
  /** Writes a new file under a name that no other process uses. */
  write(name: string, content: string): Promise<void>
  /** Gives a file a second name. @returns false when that name is taken, or the file no longer exists */
  link(name: string, newName: string): Promise<boolean>
  /** Sets a file's modification time to the file system's current time. */
  touch(name: string): Promise<void>
  /** When a file was last changed, in milliseconds by the file system's own clock; undefined when it is not there. */
  changedAtMs(name: string): Promise<number | undefined>
  /** Removes a file, if it is there. */
  remove(name: string): Promise<void>
}

/** The name of the single file that version 0.1.0 used as a lock. */
export const formerLock = 'lock'

/**
 * The files in a folder, which must exist. Nothing is synced to disk: a power failure ends every holder anyway.
 * @param formerLockFile where version 0.1.0 has the profile's lock
 */
export function lockFilesIn(folder: string, formerLockFile: string): LockFiles {
  const path = (name: string): string => (name === formerLock ? formerLockFile : join(folder, name))
  return {
    list: () => readdir(folder),
    read: (name) => unlessMissing(readFile(path(name), 'utf8')),
    write: async (name, content) => {
      const file = await open(path(name), 'wx', 0o600)
      try {
        // Whatever the umask.
        await file.chmod(0o600)
        await file.writeFile(content)
      } finally {
        await file.close()
      }
    },
    link: (name, newName) =>
      link(path(name), path(newName)).then(
        () => true,
        (error: unknown) => {
          if (hasErrorCode(error, 'EEXIST', 'ENOENT')) return false
          throw error
        },
      ),
    touch: async (name) => {
      const file = await open(path(name), 'r+')
      try {
        // Setting the time itself would take it from this machine's clock. Closing the file sends the byte to a file server.
        await file.write('{', 0)
      } finally {
        await file.close()
      }
    },
    changedAtMs: async (name) => (await unlessMissing(stat(path(name))))?.mtimeMs,
    remove: async (name) => {
      await unlessMissing(unlink(path(name)))
    },
  }
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return undefined
    throw error
  }
}
