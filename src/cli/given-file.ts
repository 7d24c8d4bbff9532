import { errorCodeOf, FilesError } from '../errors.js'
import { fileProblem, readLocalFile } from '../kubernetes/local-file.js'
import type { Context } from './context.js'

/**
 * Reads a text file that the user named, or a pipe such as <(command). Ctrl-C ends it.
 * @param flag the flag or variable that named it, for the errors
 * @throws FilesError
 */
export async function readGivenFile(path: string, flag: string, { runtime: { signal } }: Context): Promise<string> {
  try {
    return await readLocalFile(path, signal)
  } catch (cause) {
    signal.throwIfAborted()
    throw new FilesError(`${flag}: ${JSON.stringify(path)} cannot be read: ${fileProblem(cause)}`, {
      cause,
      reason: errorCodeOf(cause),
      hints: [`check that ${flag} names the right file, and its permissions`],
    })
  }
}
