import { marshal } from '../go/json.js'
import type { Answer } from '../http/exchange.js'

/** The fields that an answer can name, spelled as on the wire. */
export type EventField = 'source-id' | 'event-type' | 'event-type-version' | 'event-id' | 'event-time' | 'data'

/** An answer of the Event service: its JSON has a Content-Type without charset (docs/contract.md §3). */
export function eventAnswer(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: marshal(body) + '\n' }
}

export function violation(message: string, field: EventField, type: string, moreInfo?: string): Answer {
  const details = [{ field, type, message, ...(moreInfo !== undefined && { moreInfo }) }]
  return eventAnswer(400, { status: 400, type: 'validation_violation', message, details })
}

export const missingField = (field: EventField): Answer => violation('Missing field', field, 'missing_field')
export const invalidField = (field: EventField): Answer => violation('Invalid field', field, 'invalid_field')

export const tooLarge = (moreInfo?: string): Answer =>
  eventAnswer(413, {
    status: 413,
    type: 'request_body_too_large',
    message: 'Request body too large',
    ...(moreInfo !== undefined && { moreInfo }),
  })
