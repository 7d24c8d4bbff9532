/** Why an event is not sent, or was refused by the service. */
export type Problem =
  /** Not one JSON object, or a field has the wrong type. */
  | 'not-json'
  | 'missing'
  | 'invalid'
  /** A field has too many characters. */
  | 'too-long'
  /** The whole event has too many bytes. */
  | 'too-large'
  /** An event that the Events API cannot carry: other versions of CloudEvents, data that are not JSON. */
  | 'unsupported'

/** An event that must not be sent: the service or the bus would refuse it. */
export interface Rejection {
  readonly kind: 'rejected'
  readonly problem: Problem
  /** The field as the input spells it: `event-type` in one shape, `type` in the other. */
  readonly field: string | undefined
  /** One sentence, such as "event-time is missing". */
  readonly reason: string
}

/** Builds a rejection. @param problemText follows the field's name, or is the whole reason if no field is at fault */
export function rejection(problem: Problem, field: string | undefined, problemText: string): Rejection {
  return { kind: 'rejected', problem, field, reason: field === undefined ? problemText : `${field} ${problemText}` }
}

const maxQuotedCharacters = 60

/** A value for a reason: quoted, without control characters, and cut if it is long. */
export function quote(value: string): string {
  return JSON.stringify(value.length > maxQuotedCharacters ? `${value.slice(0, maxQuotedCharacters)}…` : value)
}
