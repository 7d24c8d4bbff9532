/**
 * What a flow reports while it runs. Flows emit facts; the renderers in cli/output/ turn them into a terminal's lines, a log or
 * JSON. An event never holds a token or key material.
 */
export type ProgressEvent = StepStarted | StepFinished | Notice | Warning

/** Takes the events as they happen. */
export type Emit = (event: ProgressEvent) => void

/** Passes on warnings, and drops the rest. */
export function warningsOnly(emit: Emit): Emit {
  return (event) => {
    if (event.type === 'warning') emit(event)
  }
}

export type Step = StepFinished['step']

/** A step that may take a while has started. */
export interface StepStarted {
  readonly type: 'started'
  readonly step: Step
}

/** The started step has succeeded; the other fields are its result. */
export type StepFinished = { readonly type: 'finished' } & (
  | { readonly step: 'cluster'; readonly context: string; readonly server: string; readonly namespace: string }
  | { readonly step: 'token-url'; readonly host: string; readonly tokenRequest: string }
  | { readonly step: 'csr-info'; readonly subject: string }
  | {
      readonly step: 'private-key'
      readonly source: 'given' | 'generated' | 'reused'
      readonly bits: number | undefined
    }
  | { readonly step: 'certificate'; readonly notAfter: Date; readonly directory: string | undefined }
  | { readonly step: 'management-info'; readonly urlCount: number }
  | { readonly step: 'revocation'; readonly notAfter: Date }
)

/** Information that needs no action. */
export type Notice = { readonly type: 'notice' } & (
  | { readonly notice: 'identity-replaced'; readonly profile: string }
  | { readonly notice: 'application-created'; readonly app: string }
  /** While events were sent, this process or another one has renewed the certificate. */
  | { readonly notice: 'certificate-renewed'; readonly profile: string; readonly notAfter: Date }
  /** After `events-retried`: the service accepts events again. */
  | { readonly notice: 'events-accepted' }
  | { readonly notice: 'plugin-message'; readonly plugin: string; readonly line: string }
  | { readonly notice: 'revoked-before'; readonly profile: string; readonly since: Date }
  /** Events are published from this line on. `mayRepeat`: the run before did not end cleanly. */
  | {
      readonly notice: 'events-continued'
      readonly input: string
      readonly line: number
      readonly mayRepeat: boolean
    }
  | { readonly notice: 'waiting-for-gateway'; readonly seconds: number }
)

/** A problem that the user should know about, and that does not stop the command. */
export type Warning = { readonly type: 'warning' } & (
  | { readonly warning: 'app-differs'; readonly app: string; readonly answered: string }
  | { readonly warning: 'app-unverifiable'; readonly app: string; readonly commonName: string }
  | { readonly warning: 'application-missing'; readonly app: string }
  /** Less than a third of the certificate's life is left; `daysLeft` is negative once it has expired. */
  | {
      readonly warning: 'certificate-expiring'
      readonly profile: string
      readonly notAfter: Date
      readonly daysLeft: number
      /** A revoked certificate cannot be renewed. */
      readonly revoked: boolean
    }
  | { readonly warning: 'cluster-insecure'; readonly context: string; readonly server: string }
  /** Some events could not be sent, and are being retried. */
  | { readonly warning: 'events-retried'; readonly cause: string }
  /** No event has a value at the JSON pointer of its key. */
  | { readonly warning: 'key-not-found'; readonly pointer: string }
  /** The last line of the input is probably still being written. */
  | { readonly warning: 'line-unfinished'; readonly line: number; readonly offset: number }
  /** The server dropped requests that were sent together. */
  | { readonly warning: 'no-pipelining' }
  | { readonly warning: 'deprecated'; readonly used: string; readonly instead: string }
  | { readonly warning: 'expired-by-our-clock'; readonly notAfter: Date }
  | { readonly warning: 'foreign-hosts-ignored'; readonly hosts: readonly string[] }
  | { readonly warning: 'hook-not-recorded'; readonly profile: string; readonly cause: string }
  | { readonly warning: 'insecure' }
  /** `place`: where identities are looked for. */
  | { readonly warning: 'no-identity'; readonly place: string }
  | { readonly warning: 'no-management-info'; readonly app: string }
  | { readonly warning: 'not-durable'; readonly cause: string }
  | { readonly warning: 'not-yet-valid-by-our-clock'; readonly notBefore: Date }
  | { readonly warning: 'other-app-replaced'; readonly profile: string; readonly from: string; readonly to: string }
  | {
      readonly warning: 'owner-ignored'
      readonly tenant: string
      readonly group: string
      /** Where it was noticed: in the cluster's TokenRequest, or in the certificate that the Connector issued. */
      readonly by: 'cluster' | 'connector'
    }
  | { readonly warning: 'paired-insecurely' }
  /** A renewal while events are sent has failed: they are sent with the current certificate until it expires. */
  | { readonly warning: 'renewal-failed'; readonly profile: string; readonly notAfter: Date; readonly cause: string }
  | { readonly warning: 'stored-url-used'; readonly cause: string }
  /** The Registry accepts a targetUrl that the cluster cannot call; `scheme` is null where it has none. */
  | {
      readonly warning: 'target-url-scheme'
      readonly identifier: string
      readonly scheme: string | null
      readonly file: string
      readonly line: number
      readonly column: number
    }
  | { readonly warning: 'token-request-left'; readonly cause: string; readonly command: string }
  | { readonly warning: 'token-request-replaced'; readonly app: string; readonly validUntil: Date }
  | { readonly warning: 'token-url-cleaned' }
  | { readonly warning: 'token-url-in-arguments' }
  | { readonly warning: 'unknown-key-algorithm'; readonly announced: string; readonly used: string }
  | { readonly warning: 'urls-not-stored'; readonly cause: string | undefined }
)
