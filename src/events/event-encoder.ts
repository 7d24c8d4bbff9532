import { checkForBus, checkForService, type EventFields, type FieldNames, isSourceName } from './event-checks.js'
import { deriveEventId } from './event-id.js'
import { EventLineReader, hugeNumberProblem } from './event-line.js'
import { JsonProblem, skipSpace, skipValue } from './json-spans.js'
import { quote, rejection, type Rejection } from './rejection.js'

/** An event that service and bus would accept, ready to be sent. */
export interface EncodedEvent {
  readonly kind: 'event'
  /** The `event-id` in the body. A retry sends the same body, so it has the same id. */
  readonly id: string
  /** The body of the request. */
  readonly body: Buffer
}

/** The limit for a request, and again for the event as the service encodes it for the bus (docs/contract.md §10). */
export const maxEventBytes = 65_536

export interface EncoderOptions {
  /** The App's name: the bus checks it with each event, and counts its bytes. */
  readonly source: string
  /** See {@link deriveEventId}. */
  readonly seed: string
  /** The time of a CloudEvent that has none. */
  readonly now: () => Date
}

/** Checks events as the Event service and the bus behind it do, and encodes them for `POST …/v1/events` (docs/contract.md §10). */
export class EventEncoder {
  readonly #options: EncoderOptions
  readonly #lines: EventLineReader
  readonly #sourceRejection: Rejection | undefined

  constructor(options: EncoderOptions) {
    this.#options = options
    this.#lines = new EventLineReader(options.now)
    const { source } = options
    this.#sourceRejection = isSourceName(source)
      ? undefined
      : rejection('invalid', undefined, `the bus accepts no events from an App with the name ${quote(source)}`)
  }

  /**
   * Encodes a line in the shape of the Events API or of CloudEvents 1.0.
   * @param number of the line in its input: the id of an event that has none depends on it
   */
  encodeLine(line: Buffer, number: number): EncodedEvent | Rejection {
    if (line.length > maxEventBytes) return tooLarge(line.length)
    const read = this.#lines.read(line)
    return read.kind === 'rejected' ? read : this.#encode(read.fields, read.names, number)
  }

  /**
   * Encodes an event from its parts.
   * @param parts with data that have not been checked
   * @param names what the user calls the parts, for the reason of a rejection
   */
  encodeParts(parts: EventFields, names: FieldNames): EncodedEvent | Rejection {
    const { data } = parts
    if (data.length > maxEventBytes) return tooLarge(data.length)
    try {
      const start = skipSpace(data, 0)
      let hugeNumberAt = -1
      const onHugeNumber = (at: number): void => {
        hugeNumberAt = at
      }
      const end = start === data.length ? start : skipValue(data, start, onHugeNumber)
      const rest = skipSpace(data, end)
      if (rest < data.length)
        return rejection('not-json', names.data, `has more text after its value, at byte ${rest + 1}`)
      if (hugeNumberAt >= 0) return rejection('not-json', names.data, hugeNumberProblem(hugeNumberAt))
      return this.#encode({ ...parts, data: data.subarray(start, end) }, names, 0)
    } catch (error) {
      if (error instanceof JsonProblem) return rejection('not-json', names.data, `is not valid JSON: ${error.message}`)
      throw error
    }
  }

  #encode(fields: EventFields, names: FieldNames, number: number): EncodedEvent | Rejection {
    const byService = checkForService(fields, names)
    if (byService !== undefined) return byService
    const { type, version, time, data } = fields
    const id = fields.id === '' ? deriveEventId(this.#options.seed, number) : fields.id
    const head = `{"event-type":${string(type)},"event-type-version":${string(version)},"event-id":"${id}","event-time":"${time}","data":`
    const byBus = this.#sourceRejection ?? checkForBus(fields, names)
    // What the bus accepts is ASCII.
    const headBytes = byBus === undefined ? head.length : Buffer.byteLength(head)
    const refused = this.#checkSize(headBytes, data) ?? byBus
    if (refused !== undefined) return refused
    const body = Buffer.allocUnsafe(headBytes + data.length + 1)
    body.write(head, 'latin1')
    body.set(data, headBytes)
    body[body.length - 1] = 0x7d
    return { kind: 'event', id, body }
  }

  /** The service refuses a request that is too large, and the bus an event that grew too large when the service encoded it anew. */
  #checkSize(headBytes: number, data: Uint8Array): Rejection | undefined {
    const requestBytes = headBytes + data.length + 1
    const sourceBytes = '"source-id":"",'.length + Buffer.byteLength(this.#options.source)
    // No character grows to more than six bytes, and white space disappears.
    if (requestBytes + 5 * data.length + sourceBytes <= maxEventBytes) return undefined
    if (requestBytes > maxEventBytes) return tooLarge(requestBytes)
    const busBytes = headBytes + sourceBytes + reEncodedLength(data) + 1
    return busBytes > maxEventBytes ? tooLarge(busBytes, ' when the service encodes it for the bus') : undefined
  }
}

function tooLarge(bytes: number, when = ''): Rejection {
  return rejection('too-large', undefined, `the event has ${bytes} bytes${when}; at most ${maxEventBytes} are allowed`)
}

/** A string for the head. Only one that the bus refuses needs escapes. */
function string(text: string): string {
  return /^[-.a-z0-9]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** The length in bytes of a value that Go has decoded and encoded again: without white space, and with the escapes that Go writes. */
function reEncodedLength(data: Uint8Array): number {
  const value: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString())
  let length = 0
  // JSON.stringify, as any other recursion, cannot go as deep as Go does.
  const open = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next === 'string') length += encodedStringLength(next)
    else if (typeof next === 'number') length += Object.is(next, -0) ? 2 : String(next).length
    else if (Array.isArray(next)) {
      length += '[]'.length + Math.max(0, next.length - 1)
      for (const item of next) open.push(item)
    } else if (typeof next === 'object' && next !== null) {
      const members = Object.entries(next)
      length += '{}'.length + Math.max(0, members.length - 1)
      for (const [name, item] of members) {
        length += encodedStringLength(name) + ':'.length
        open.push(item)
      }
    } else length += String(next).length
  }
  return length
}

/**
 * How many bytes Go adds to an ASCII character in a string. It has short escapes for backspace and form feed since release 1.22, and
 * Kyma was built with an earlier one.
 */
const escapeBytes = new Uint8Array(0x80).fill('u001f'.length, 0, 0x20)
for (const character of '<>&') escapeBytes[character.charCodeAt(0)] = 'u003c'.length
for (const character of '"\\\n\r\t') escapeBytes[character.charCodeAt(0)] = 1

function encodedStringLength(text: string): number {
  // Half a surrogate pair has three bytes here, as U+FFFD has, by which Go replaces it.
  let length = '""'.length + Buffer.byteLength(text)
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x80) length += escapeBytes[code] ?? 0
    else if (code === 0x2028 || code === 0x2029) length += '\\u2028'.length - 3
  }
  return length
}
