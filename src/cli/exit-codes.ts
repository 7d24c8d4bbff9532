import type { ErrorCode } from '../errors.js'

/** What each exit code means: for the help text and docs/reference.md. */
export const exitCodeMeanings = {
  0: 'success',
  1: 'unexpected error',
  2: 'usage, or a problem in service files (services)',
  3: 'token refused',
  4: 'trust: a certificate, a URL or credentials were not accepted',
  5: 'no usable identity',
  6: 'request refused by the service (4xx), or some changes failed (services apply)',
  7: 'service failed (5xx, or an unusable answer)',
  8: 'network or time-out',
  9: 'local files',
  10: 'something is due (status --check), or differs (services diff)',
  11: 'pair again: a certificate has expired or been revoked (status --check)',
  12: 'the --exec command failed',
  130: 'interrupted (Ctrl-C)',
  143: 'terminated (SIGTERM)',
} as const

export type ExitCode = keyof typeof exitCodeMeanings

/** The only table of exit codes: the help text, the reference and the tests use it. */
export const exitCodes: Readonly<Record<ErrorCode, ExitCode>> = {
  ERR_UNEXPECTED: 1,
  ERR_USAGE: 2,
  ERR_TOKEN_URL_INVALID: 2,
  ERR_PROFILE_NAME: 2,
  ERR_PROFILE_EXISTS: 2,
  ERR_PROFILE_AMBIGUOUS: 2,
  ERR_APP_MISMATCH: 2,
  ERR_KEY_UNSUITABLE: 2,
  ERR_CONFIRMATION_NEEDED: 2,
  ERR_SERVICE_FILES: 2,
  ERR_SERVICE_CONFLICT: 2,
  ERR_TOKEN_REJECTED: 3,
  ERR_SERVER_CERTIFICATE: 4,
  ERR_CLIENT_CERTIFICATE_REFUSED: 4,
  ERR_UNTRUSTED_URL: 4,
  ERR_CLUSTER_ACCESS: 4,
  ERR_CERTIFICATE_UNVERIFIED: 4,
  ERR_CERTIFICATE_EXPIRED: 4,
  ERR_CERTIFICATE_REVOKED: 4,
  ERR_RENEWAL_WAITS: 4,
  ERR_NO_IDENTITY: 5,
  ERR_IDENTITY_UNUSABLE: 5,
  ERR_REQUEST_REFUSED: 6,
  ERR_SERVICES_FAILED: 6,
  ERR_EVENTS_REJECTED: 6,
  ERR_SERVICE_FAILED: 7,
  ERR_ANSWER_MALFORMED: 7,
  ERR_NETWORK: 8,
  ERR_TIMEOUT: 8,
  ERR_ANSWER_LOST: 8,
  ERR_FILES: 9,
  ERR_HOME_UNSAFE: 9,
  ERR_LOCK_HELD: 9,
  ERR_RENEWAL_DUE: 10,
  ERR_SERVICES_DIFFER: 10,
  ERR_PAIR_AGAIN: 11,
  ERR_HOOK_FAILED: 12,
  ERR_INTERRUPTED: 130,
  ERR_TERMINATED: 143,
}

export function exitCodeOf(code: string): ExitCode {
  return Object.hasOwn(exitCodes, code) ? exitCodes[code as ErrorCode] : 1
}

/** The error codes that end with an exit code; none for success. */
export function errorCodesOf(exitCode: ExitCode): ErrorCode[] {
  return Object.entries(exitCodes).flatMap(([code, its]) => (its === exitCode ? [code as ErrorCode] : []))
}

/** The exit codes and their meanings, in ascending order. */
export function listExitCodes(): { exitCode: ExitCode; meaning: string }[] {
  return Object.entries(exitCodeMeanings).map(([code, meaning]) => ({ exitCode: Number(code) as ExitCode, meaning }))
}
