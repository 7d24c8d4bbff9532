import { marshal } from '../go/json.js'
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
  /** JSON text. */
  readonly data: string
}

const MESSAGE = 'We need all your entries to be correct to keep you moving.'

interface Check {
  readonly field: EventField
  readonly value: string
  readonly maxLength: number
  readonly isValid: (value: string) => boolean
}

/** The bus's refusal of an event (docs/contract.md §10); undefined when it takes the event. Lengths are checked before forms. */
export function busRefusal(event: BusEvent): Answer | undefined {
  if (mayOutgrowLimit(event) && Buffer.byteLength(reEncode(event)) > MAX_EVENT_BYTES) return tooLarge()
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

/** No character takes more bytes than this after encoding: `<` becomes `\u003c`, and 1e20 gets all its digits. */
const MAX_GROWTH = 6
/** More than the bytes of the field names, the quotes and the punctuation. */
const FRAME_BYTES = 200

/** Whether it takes encoding to know the length. Most events are far too small to reach the limit. */
function mayOutgrowLimit({ app, type, version, id, time, data }: BusEvent): boolean {
  const length = app.length + type.length + version.length + id.length + time.length + data.length
  return length * MAX_GROWTH + FRAME_BYTES > MAX_EVENT_BYTES
}

/** The event as the service sends it to the bus: its data are decoded and encoded anew, which may change their length. */
function reEncode({ app, type, version, id, time, data }: BusEvent): string {
  const decoded: unknown = JSON.parse(data)
  return marshal({
    'source-id': app,
    'event-type': type,
    'event-type-version': version,
    ...(id !== '' && { 'event-id': id }),
    'event-time': time,
    data: decoded,
  })
}
