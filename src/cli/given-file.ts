import { errorCodeOf, FilesError } from '../errors.js'
import { fileProblem, FileTooLarge, readLocalBytes } from '../kubernetes/local-file.js'
import type { Context } from './context.js'

/** What is read at most, and the hint for a file that is larger. */
interface Limit {
  readonly maxBytes: number
  readonly hint: string
}

/**
 * Reads a file that the user named, or a pipe such as <(command). Ctrl-C ends it.
 * @param flag the flag or variable that named it, for the errors
 * @throws FilesError
 */
export async function readGivenFile(path: string, flag: string, context: Context, limit?: Limit): Promise<string> {
  return (await readGivenBytes(path, flag, context, limit)).toString('utf8')
}

/** The same for text that is passed on: it must be UTF-8. A byte-order mark is left out. @throws FilesError */
export async function readGivenText(path: string, flag: string, context: Context): Promise<string> {
  const bytes = await readGivenBytes(path, flag, context)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new FilesError(`${flag}: ${JSON.stringify(path)} is not UTF-8 text`, {
      cause,
      reason: 'not-utf8',
      hints: ['convert it to UTF-8'],
    })
  }
}

async function readGivenBytes(
  path: string,
  flag: string,
  { runtime: { signal } }: Context,
  limit?: Limit,
): Promise<Buffer> {
  try {
    return await readLocalBytes(path, signal, limit?.maxBytes)
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
