import { mkdir, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FilesError, hasErrorCode } from '../../../errors.js'

/** A file to write: its path, and its text. */
export interface NewFile {
  readonly path: string
  readonly text: string
}

/** Writes files one after the other, and creates their folders. @param overwrite false: a file that exists is an error @throws FilesError */
export async function writeFiles(files: readonly NewFile[], overwrite: boolean): Promise<void> {
  for (const { path, text } of files) {
    await createFolder(dirname(path))
    try {
      await writeFile(path, text, { flag: overwrite ? 'w' : 'wx' })
    } catch (cause) {
      if (hasErrorCode(cause, 'EEXIST'))
        throw new FilesError(`${JSON.stringify(path)} exists already`, {
          cause,
          hints: ['choose another name, or add --force to overwrite it'],
        })
      throw new FilesError(`${JSON.stringify(path)} cannot be written`, {
        cause,
        hints: ['check the path, its permissions and the space left'],
      })
    }
  }
}

/**
 * Creates a folder and those around it. `recursive` of Node would try for ever, deaf to Ctrl-C, where the system denies that a folder can be
 * created by ENOENT, as /proc and automounted folders do.
 * @throws FilesError
 */
async function createFolder(path: string): Promise<void> {
  try {
    await createMissing(path, true)
  } catch (cause) {
    throw new FilesError(`the folder ${JSON.stringify(path)} cannot be created`, {
      cause,
      hints: ['check the path, its permissions and the space left'],
    })
  }
}

async function createMissing(path: string, withParent: boolean): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    const parent = dirname(path)
    if (await isFolder(path)) return
    if (!withParent || !hasErrorCode(error, 'ENOENT') || parent === path) throw error
    await createMissing(parent, true)
    await createMissing(path, false)
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
