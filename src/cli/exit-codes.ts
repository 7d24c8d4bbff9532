import type { ErrorCode } from '../errors.js'

/** Every exit code there is; the README's table says the same. */
export const exitCodes: Readonly<Record<ErrorCode, number>> = {
  ERR_UNEXPECTED: 1,
  ERR_USAGE: 2,
  ERR_TOKEN_URL_INVALID: 2,
  ERR_PROFILE_NAME: 2,
  ERR_PROFILE_EXISTS: 2,
  ERR_PROFILE_AMBIGUOUS: 2,
  ERR_APP_MISMATCH: 2,
  ERR_KEY_UNSUITABLE: 2,
  ERR_CONFIRMATION_NEEDED: 2,
  ERR_TOKEN_REJECTED: 3,
  ERR_SERVER_CERTIFICATE: 4,
  ERR_CLIENT_CERTIFICATE_REFUSED: 4,
  ERR_UNTRUSTED_URL: 4,
  ERR_CLUSTER_ACCESS: 4,
  ERR_CERTIFICATE_UNVERIFIED: 4,
  ERR_NO_IDENTITY: 5,
  ERR_IDENTITY_UNUSABLE: 5,
  ERR_REQUEST_REFUSED: 6,
  ERR_SERVICE_FAILED: 7,
  ERR_ANSWER_MALFORMED: 7,
  ERR_NETWORK: 8,
  ERR_TIMEOUT: 8,
  ERR_ANSWER_LOST: 8,
  ERR_FILES: 9,
  ERR_HOME_UNSAFE: 9,
  ERR_LOCK_HELD: 9,
  ERR_INTERRUPTED: 130,
  ERR_TERMINATED: 143,
}

export function exitCodeOf(code: string): number {
  return Object.hasOwn(exitCodes, code) ? exitCodes[code as ErrorCode] : 1
}
