import { link, open, readdir, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '../errors.js'

/** What the lock needs of the folder that its files are in. Each function is one step that no other process can divide. */
export interface LockFiles {
  /** The names of all files, read at once: a folder this small is answered by one call of the system. */
  list(): Promise<string[]>
  /** The content of a file; undefined when it is not there. */
  read(name: string): Promise<string | undefined>
  /** Writes a new file under a name that no other process uses. */
  write(name: string, content: string): Promise<void>
  /** Gives a file another name. @returns false when that name is taken, or the file has gone */
  link(name: string, newName: string): Promise<boolean>
  /** Sets a file's time to the file system's now. */
  touch(name: string): Promise<void>
  /** When a file was last changed, in milliseconds by the file system's own clock; undefined when it is not there. */
  changedAtMs(name: string): Promise<number | undefined>
  /** Removes a file, if it is there. */
  remove(name: string): Promise<void>
}

/** The name of the one file that a lock was in version 0.1.0. */
export const formerLock = 'lock'

/**
 * The files in a folder, which must exist. Nothing here waits for the disk: a power failure ends every holder anyway.
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
        // Setting the time itself would take it from this machine's clock. Closing is what sends the byte to a file server.
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
