import { type JsonNode, marshal, marshalObject, remarshal } from '../go/json.js'
import type { Answer } from '../http/exchange.js'
import { tooLarge, violation, type EventField } from './event-answers.js'
import { isSubdomain } from '../kubernetes/subdomain.js'

/** The limit for a body as it arrives, and again for the event as the service re-encodes it for the bus (docs/contract.md §10). */
export const MAX_EVENT_BYTES = 65536

/** An event that passed the checks of the Event service. */
export interface BusEvent {
  readonly app: string
  readonly type: string
  readonly version: string
  /** '' when none was given. */
  readonly id: string
  readonly time: string
  readonly data: JsonNode
}

const MESSAGE = 'We need all your entries to be correct to keep you moving.'

interface Check {
  readonly field: EventField
  readonly value: string
  readonly maxLength: number
  readonly isValid: (value: string) => boolean
}

/**
 * The bus's refusal of an event (docs/contract.md §10); undefined when it takes the event. Lengths are checked before forms.
 *
 * @param sentBytes of the body that the event was read from
 */
export function busRefusal(event: BusEvent, sentBytes: number): Answer | undefined {
  if (mayOutgrowLimit(event.app.length + sentBytes) && Buffer.byteLength(reEncode(event)) > MAX_EVENT_BYTES)
    return tooLarge()
  const checks: readonly Check[] = [
    { field: 'source-id', value: event.app, maxLength: 253, isValid: isSubdomain },
    { field: 'event-type', value: event.type, maxLength: 253, isValid: isSubdomain },
    { field: 'event-type-version', value: event.version, maxLength: 4, isValid: isVersion },
  ]
  for (const { field, value, maxLength, isValid } of checks) {
    if (value.length > maxLength) {
      return violation(MESSAGE, field, 'invalid_field_length', `Field length must be at max: ${maxLength}`)
    }
    if (!isValid(value)) return violation(MESSAGE, field, 'invalid_field')
  }
  return undefined
}

const isVersion = (text: string): boolean => /^[a-z0-9]+$/.test(text)

/** Nothing takes more than this many times its bytes after encoding: `<` becomes `\u003c`, and 1e20 gets all its digits. */
const MAX_GROWTH = 6
/** More than the bytes of the field names, the quotes and the punctuation. */
const FRAME_BYTES = 200

/** Whether it takes encoding to know the length. Most events are far too small to reach the limit. */
function mayOutgrowLimit(bytes: number): boolean {
  return bytes * MAX_GROWTH + FRAME_BYTES > MAX_EVENT_BYTES
}

/** The event as the service sends it to the bus: its data are decoded and encoded anew, which may change their length. */
function reEncode({ app, type, version, id, time, data }: BusEvent): string {
  return marshalObject([
    ['source-id', marshal(app)],
    ['event-type', marshal(type)],
    ['event-type-version', marshal(version)],
    ['event-id', id === '' ? undefined : marshal(id)],
    ['event-time', marshal(time)],
    ['data', remarshal(data)],
  ])
}
