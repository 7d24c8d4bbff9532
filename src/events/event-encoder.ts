import { checkForBus, checkForService, type EventFields, type FieldNames, isSourceName } from './event-checks.js'
import { deriveEventId } from './event-id.js'
import { EventLineReader } from './event-line.js'
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
   * @param offset where the line begins in its input: the id of an event that has none depends on it
   */
  encodeLine(line: Buffer, offset: number): EncodedEvent | Rejection {
    if (line.length > maxEventBytes) return tooLarge(line.length)
    const read = this.#lines.read(line)
    return read.kind === 'rejected' ? read : this.#encode(read.fields, read.names, offset)
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
      const end = start === data.length ? start : skipValue(data, start)
      const rest = skipSpace(data, end)
      if (rest < data.length)
        return rejection('not-json', names.data, `has more text after its value, at byte ${rest + 1}`)
      return this.#encode({ ...parts, data: data.subarray(start, end) }, names, 0)
    } catch (error) {
      if (error instanceof JsonProblem) return rejection('not-json', names.data, `is not valid JSON: ${error.message}`)
      throw error
    }
  }

  #encode(fields: EventFields, names: FieldNames, offset: number): EncodedEvent | Rejection {
    const byService = checkForService(fields, names)
    if (byService !== undefined) return byService
    const { type, version, time, data } = fields
    const id = fields.id === '' ? deriveEventId(this.#options.seed, offset) : fields.id
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

/** The length in bytes of a value that Go has decoded and encoded again: without white space, with `<`, `>` and `&` escaped. */
function reEncodedLength(data: Uint8Array): number {
  try {
    const text = JSON.stringify(JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString()))
    const escaped = /[<>&\u2028\u2029]/g
    let length = Buffer.byteLength(text)
    for (const [character] of text.matchAll(escaped)) length += 6 - Buffer.byteLength(character)
    return length
  } catch (error) {
    // The value is JSON, but nested too deep for this engine: the service decides.
    if (error instanceof RangeError) return data.length
    throw error
  }
}
