import { errorCodeOf, FilesError, hasErrorCode, KyconnectError } from '../errors.js'

/**
 * Turns what the file system reported into an error that names the file and a way out. An error without a code is a bug in kyconnect, and
 * stays what it is.
 * @param doing completes "could not …"
 * @param flag the one that named the file
 */
export function nameFileError(error: unknown, doing: string, flag: string): unknown {
  const reason = errorCodeOf(error)
  if (error instanceof KyconnectError || reason === '') return error
  const hint = hasErrorCode(error, 'ENOSPC', 'EDQUOT') ? 'free some space' : 'check the folder and its permissions'
  return new FilesError(`could not ${doing}: ${problemOf(reason)}`, {
    cause: error,
    reason,
    hints: [`${hint}, or name another file with ${flag}`],
  })
}

function problemOf(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'the folder does not exist'
    case 'EISDIR':
      return 'it is a directory'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'no space left'
    case 'EROFS':
      return 'the file system is read-only'
    default:
      return code
  }
}
