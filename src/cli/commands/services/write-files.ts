import { mkdir, writeFile } from 'node:fs/promises'
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
    try {
      await mkdir(dirname(path), { recursive: true })
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
