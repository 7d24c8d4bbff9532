import { errorCodeOf, FilesError, hasErrorCode, KyconnectError } from '../errors.js'
import { fileProblemOf } from '../file-problem.js'

/**
 * Turns what the file system reported about a file that is written into an error that names the file and a way out. An error without a
 * code is a bug in kyconnect, and stays what it is.
 * @param doing completes "could not …"
 * @param flag the one that named the file
 */
export function nameFileError(error: unknown, doing: string, flag: string): unknown {
  const reason = errorCodeOf(error)
  if (error instanceof KyconnectError || reason === '') return error
  const isMissing = hasErrorCode(error, 'ENOENT', 'ENOTDIR')
  // The file itself would have been created.
  const problem = isMissing ? 'the folder does not exist' : fileProblemOf(reason)
  const hint = hasErrorCode(error, 'ENOSPC', 'EDQUOT') ? 'free some space' : 'check the folder and its permissions'
  return new FilesError(`could not ${doing}: ${problem}`, {
    cause: error,
    reason,
    hints: [`${hint}, or name another file with ${flag}`],
  })
}
