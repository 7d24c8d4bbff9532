import { errorCodeOf, FilesError } from '../errors.js'
import { fileProblem, FileTooLarge, readLocalFile } from '../kubernetes/local-file.js'
import type { Context } from './context.js'

/**
 * Reads a text file that the user named, or a pipe such as <(command). Ctrl-C ends it.
 * @param flag the flag or variable that named it, for the errors
 * @param limit what is read at most, and the hint for a file that is larger
 * @throws FilesError
 */
export async function readGivenFile(
  path: string,
  flag: string,
  { runtime: { signal } }: Context,
  limit?: { readonly maxBytes: number; readonly hint: string },
): Promise<string> {
  try {
    return await readLocalFile(path, signal, limit?.maxBytes)
  } catch (cause) {
    signal.throwIfAborted()
    throw new FilesError(`${flag}: ${JSON.stringify(path)} cannot be read: ${fileProblem(cause)}`, {
      cause,
      reason: errorCodeOf(cause),
      hints: [
        cause instanceof FileTooLarge && limit !== undefined
          ? limit.hint
          : `check that ${flag} names the right file, and its permissions`,
      ],
    })
  }
}
