/** Why the system cannot read a file, to follow a colon. @param code of the system's error; '' when it has none */
export function fileProblemOf(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'it does not exist'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    default:
      return code === '' ? 'it is not readable' : code
  }
}
