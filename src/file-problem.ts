/** Why the system cannot read or write a file, to follow a colon. @param code of the system's error; '' when it has none */
export function fileProblemOf(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'it does not exist'
    case 'EISDIR':
      return 'it is a folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'no space left'
    case 'EIO':
      return 'input/output error'
    case 'EROFS':
      return 'the file system is read-only'
    default:
      return code === '' ? 'it is not readable' : code
  }
}
