/**
 * Every error that a caller can receive. Each has a stable `code`, one sentence for a person, fields that a program can decide by, and
 * hints: imperatives with the next command to run. No logic reads a message or a hint.
 */
export interface ErrorContext {
  /** What to do next, one imperative each, usually with the command to run. */
  readonly hints?: readonly string[]
  /** The code of the underlying failure, from the system (`ECONNREFUSED`), from OpenSSL (`CERT_HAS_EXPIRED`) or from kyconnect. */
  readonly reason?: string
  /** The network address that was called. */
  readonly target?: ErrorTarget
  /** More facts for a program: the status, the path, the names involved. Never a token, never key material. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** Where a connection went, or should have gone. */
export interface ErrorTarget {
  /** The host name of the URL. */
  readonly host: string
  /** The address that the socket was opened to: the host name itself, or the address in a resolve rule. */
  readonly address: string
  readonly port: number
}

export abstract class KyconnectError extends Error {
  abstract readonly code: string
  readonly reason: string | undefined
  readonly target: ErrorTarget | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined
  #hints: readonly string[]

  constructor(message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause })
    this.name = new.target.name
    this.reason = context.reason
    this.target = context.target
    this.details = context.details
    this.#hints = context.hints ?? []
  }

  /** What to do next, one imperative each. */
  get hints(): readonly string[] {
    return this.#hints
  }

  /** Replaces the hints, where a caller further up the stack knows a better way out. */
  replaceHints(...hints: readonly string[]): this {
    this.#hints = hints
    return this
  }

  /** Adds what only a caller further up the stack knows: for instance, that a pairing was kept and how to continue it. */
  addHint(hint: string): this {
    this.#hints = [...this.#hints, hint]
    return this
  }
}

/** What was thrown, or the reason of a signal, as an error: a library may throw anything. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** The code of a system or library error (`ENOENT`, `ERR_TLS_CERT_ALTNAME_INVALID`); empty when it has none. */
export function errorCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Whether an error has one of these codes. */
export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = errorCodeOf(error)
  return code !== '' && codes.includes(code)
}

/** A bug in kyconnect, or a fault of the machine, that no other error describes. */
export class UnexpectedError extends KyconnectError {
  readonly code = 'ERR_UNEXPECTED'
}

/** The command line, or a value in the environment, cannot be used. */
export class UsageError extends KyconnectError {
  readonly code = 'ERR_USAGE'
}

/** The text given as token URL is not an https URL with a token, even after cleaning. */
export class TokenUrlInvalidError extends KyconnectError {
  readonly code = 'ERR_TOKEN_URL_INVALID'
}

/** The name is not a valid profile name: only letters, digits, `.`, `_` and `-` are allowed. */
export class ProfileNameError extends KyconnectError {
  readonly code = 'ERR_PROFILE_NAME'
}

/** An identity is already stored under the profile. */
export class ProfileExistsError extends KyconnectError {
  readonly code = 'ERR_PROFILE_EXISTS'
}

/** Several identities are stored and none was named. */
export class ProfileAmbiguousError extends KyconnectError {
  readonly code = 'ERR_PROFILE_AMBIGUOUS'
}

/** The token URL is not for the expected App. */
export class AppMismatchError extends KyconnectError {
  readonly code = 'ERR_APP_MISMATCH'
}

/** The given key, or the requested algorithm, cannot be used: the service signs RSA keys only (docs/contract.md §5). */
export class KeyUnsuitableError extends KyconnectError {
  readonly code = 'ERR_KEY_UNSUITABLE'
}

/** The command needs a confirmation that it did not get: there is no terminal to ask on, or the answer was no. */
export class ConfirmationNeededError extends KyconnectError {
  readonly code = 'ERR_CONFIRMATION_NEEDED'
}

/** The one-time token was refused: it is missing, unknown, already used or too old; the service does not say which. */
export class TokenRejectedError extends KyconnectError {
  readonly code = 'ERR_TOKEN_REJECTED'
}

/** The server's certificate was not accepted. */
export class ServerCertificateError extends KyconnectError {
  readonly code = 'ERR_SERVER_CERTIFICATE'
}

/** The gateway did not accept our client certificate. */
export class ClientCertificateRefusedError extends KyconnectError {
  readonly code = 'ERR_CLIENT_CERTIFICATE_REFUSED'
}

/** The client certificate has expired: no service accepts it, and it cannot be renewed. */
export class CertificateExpiredError extends KyconnectError {
  readonly code = 'ERR_CERTIFICATE_EXPIRED'
}

/** The client certificate has been revoked: it works until it expires, and cannot be renewed. */
export class CertificateRevokedError extends KyconnectError {
  readonly code = 'ERR_CERTIFICATE_REVOKED'
}

/** A renewal waits, because the certificate that was signed for the last one was rejected. */
export class RenewalWaitsError extends KyconnectError {
  readonly code = 'ERR_RENEWAL_WAITS'
}

/** Service files have problems; `details.problems` has each with its place. Nothing was sent. */
export class ServiceFilesError extends KyconnectError {
  readonly code = 'ERR_SERVICE_FILES'
}

/** A service with the same identifier does not belong to this set of services. Nothing was sent. */
export class ServiceConflictError extends KyconnectError {
  readonly code = 'ERR_SERVICE_CONFLICT'
}

/** Some services could not be registered, changed or deleted; `details.failures` has each. */
export class ServicesFailedError extends KyconnectError {
  readonly code = 'ERR_SERVICES_FAILED'
}

/** At least one event was rejected: by the checks before sending, or by the service. */
export class RejectedEventsError extends KyconnectError {
  readonly code = 'ERR_EVENTS_REJECTED'
}

/** The registered services differ from the service files: the result of a comparison. */
export class ServicesDifferError extends KyconnectError {
  readonly code = 'ERR_SERVICES_DIFFER'
}

/** The command that was to run after a renewal failed. */
export class HookFailedError extends KyconnectError {
  readonly code = 'ERR_HOOK_FAILED'
}

/** At least one certificate is due for renewal: the result of a check. */
export class RenewalDueError extends KyconnectError {
  readonly code = 'ERR_RENEWAL_DUE'
}

/** At least one certificate has expired or been revoked, so its App must be paired again: the result of a check. */
export class PairAgainError extends KyconnectError {
  readonly code = 'ERR_PAIR_AGAIN'
}

/** A URL in an answer must not be called: it is on another origin or another gateway, or is not an https URL. */
export class UntrustedUrlError extends KyconnectError {
  readonly code = 'ERR_UNTRUSTED_URL'
}

/** A Kubernetes cluster cannot be used with the credentials that the kubeconfig gives. */
export class ClusterAccessError extends KyconnectError {
  readonly code = 'ERR_CLUSTER_ACCESS'
}

/** The signed certificate is not the one that was requested, or its chain does not verify. */
export class CertificateUnverifiedError extends KyconnectError {
  readonly code = 'ERR_CERTIFICATE_UNVERIFIED'
}

/** No identity is stored under the profile, or no identity is stored at all. */
export class NoIdentityError extends KyconnectError {
  readonly code = 'ERR_NO_IDENTITY'
}

/** A stored identity cannot be used: it is damaged, has a newer format, or lacks the requested endpoint. */
export class IdentityUnusableError extends KyconnectError {
  readonly code = 'ERR_IDENTITY_UNUSABLE'
}

/** The service answered with a 4xx that none of the other errors describes. */
export class RequestRefusedError extends KyconnectError {
  readonly code = 'ERR_REQUEST_REFUSED'
}

/** The service answered with a 5xx. */
export class ServiceFailedError extends KyconnectError {
  readonly code = 'ERR_SERVICE_FAILED'
}

/** An answer cannot be used: it is not JSON, lacks fields, is too large, or is an unexpected redirect. */
export class AnswerMalformedError extends KyconnectError {
  readonly code = 'ERR_ANSWER_MALFORMED'
}

export interface NetworkErrorContext extends ErrorContext {
  /** Whether any of the request may have reached the server; true when unknown. */
  readonly requestSent?: boolean
}

/** The connection could not be made, or it broke. */
export class NetworkError extends KyconnectError {
  readonly code = 'ERR_NETWORK'
  /** Whether any of the request may have reached the server. */
  readonly requestSent: boolean

  constructor(message: string, context: NetworkErrorContext = {}) {
    super(message, context)
    this.requestSent = context.requestSent ?? true
  }
}

/** A time limit ran out. */
export class TimeoutError extends KyconnectError {
  readonly code = 'ERR_TIMEOUT'
  /** Whether any of the request may have reached the server. */
  readonly requestSent: boolean

  constructor(message: string, context: NetworkErrorContext = {}) {
    super(message, context)
    this.requestSent = context.requestSent ?? true
  }
}

/** The service answered 201, so the token is consumed, but the certificate did not arrive completely. */
export class AnswerLostError extends KyconnectError {
  readonly code = 'ERR_ANSWER_LOST'
}

/** Local files could not be read or written. */
export class FilesError extends KyconnectError {
  readonly code = 'ERR_FILES'
}

/** A folder or file of the store belongs to another user, or other users can access it. */
export class HomeUnsafeError extends KyconnectError {
  readonly code = 'ERR_HOME_UNSAFE'
}

/** Another process is changing the same profile. */
export class LockHeldError extends KyconnectError {
  readonly code = 'ERR_LOCK_HELD'
}

/** The user pressed Ctrl-C. */
export class InterruptedError extends KyconnectError {
  readonly code = 'ERR_INTERRUPTED'
}

/** The process received SIGTERM. */
export class TerminatedError extends KyconnectError {
  readonly code = 'ERR_TERMINATED'
}

/** All error classes, so that `switch (error.code)` narrows the type. */
export type AnyKyconnectError =
  | UnexpectedError
  | UsageError
  | TokenUrlInvalidError
  | ProfileNameError
  | ProfileExistsError
  | ProfileAmbiguousError
  | AppMismatchError
  | KeyUnsuitableError
  | ConfirmationNeededError
  | TokenRejectedError
  | ServerCertificateError
  | ClientCertificateRefusedError
  | UntrustedUrlError
  | ClusterAccessError
  | CertificateUnverifiedError
  | CertificateExpiredError
  | CertificateRevokedError
  | RenewalWaitsError
  | ServiceFilesError
  | ServiceConflictError
  | ServicesFailedError
  | ServicesDifferError
  | RejectedEventsError
  | HookFailedError
  | RenewalDueError
  | PairAgainError
  | NoIdentityError
  | IdentityUnusableError
  | RequestRefusedError
  | ServiceFailedError
  | AnswerMalformedError
  | NetworkError
  | TimeoutError
  | AnswerLostError
  | FilesError
  | HomeUnsafeError
  | LockHeldError
  | InterruptedError
  | TerminatedError

export type ErrorCode = AnyKyconnectError['code']
