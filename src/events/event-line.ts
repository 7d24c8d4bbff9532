import { isUtf8 } from 'node:buffer'
import type { EventFields, FieldNames } from './event-checks.js'
import { type CloudEventIds, isUuid } from './event-id.js'
import { JsonProblem, readMembers, skipSpace } from './json-spans.js'
import { quote, reject, type Rejection } from './rejection.js'

/** The fields of an event as a line of the input has them, with the names that this line uses for them. */
export interface EventLine {
  readonly kind: 'fields'
  readonly fields: EventFields
  readonly names: FieldNames
}

/** A line in the shape of the Events API (docs/contract.md §10). */
const apiNames: FieldNames = {
  type: 'event-type',
  version: 'event-type-version',
  time: 'event-time',
  id: 'event-id',
  data: 'data',
}

/** A line in the shape of CloudEvents 1.0, JSON format. Its version is the end of its type. */
const cloudNames: FieldNames = { type: 'type', version: 'type', time: 'time', id: 'id', data: 'data' }

type MemberName = keyof typeof noMembers
/** Where the last member of each name is; -1 if there is none. */
const noMembers = {
  'event-type': -1,
  'event-type-version': -1,
  'event-time': -1,
  'event-id': -1,
  data: -1,
  specversion: -1,
  type: -1,
  source: -1,
  id: -1,
  time: -1,
  data_base64: -1,
}
const memberNames = new Map<string, MemberName>(
  // The keys of the object above, and no others.
  (Object.keys(noMembers) as MemberName[]).map((name) => [name, name]),
)
/** The names that Go matches whatever their case; CloudEvents has lower case only. */
const goNames = new Map(Object.values(apiNames).map((name) => [name, memberNames.get(name)]))
const goStrings: readonly MemberName[] = ['event-type', 'event-type-version', 'event-time', 'event-id']

const noData = new Uint8Array(0)

/**
 * Reads a line in either shape. The data stay the bytes that they are.
 *
 * Where the service would read a part of the line only, or read something else than the line says, the line is rejected: a second value
 * after the first one would be lost, and bytes that are not UTF-8 would be replaced.
 * @param now the time of a CloudEvent that has none
 */
export function readEventLine(line: Buffer, cloudEventIds: CloudEventIds, now: () => Date): EventLine | Rejection {
  try {
    return new LineParser(line).read(cloudEventIds, now)
  } catch (error) {
    if (error instanceof JsonProblem) return reject('not-json', undefined, `not valid JSON: ${error.message}`)
    throw error
  }
}

class LineParser {
  readonly #line: Buffer
  readonly #starts = { ...noMembers }
  readonly #ends = { ...noMembers }
  /** The first field of the Events API with a value that is not a string. */
  #mistyped: string | undefined

  constructor(line: Buffer) {
    this.#line = line
  }

  read(cloudEventIds: CloudEventIds, now: () => Date): EventLine | Rejection {
    const line = this.#line
    const start = skipSpace(line, 0)
    if (line[start] !== 0x7b) return reject('not-json', undefined, 'not a JSON object')
    const end = skipSpace(line, readMembers(line, start, this.#take))
    if (end < line.length) return reject('not-json', undefined, `more text follows the event at byte ${end + 1}`)
    if (!isUtf8(line)) return reject('not-json', undefined, 'not valid UTF-8')
    // The service ignores names that it does not know, so an event of its API may have this one too.
    const isCloudEvent = this.#starts.specversion >= 0 && goStrings.every((name) => this.#starts[name] < 0)
    return isCloudEvent ? this.#cloudEvent(cloudEventIds, now) : this.#apiEvent()
  }

  readonly #take = (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void => {
    const name = this.#nameAt(keyStart, keyEnd)
    if (name === undefined) return
    this.#starts[name] = valueStart
    this.#ends[name] = valueEnd
    const first = this.#line[valueStart]
    if (first !== 0x22 && first !== 0x6e && this.#mistyped === undefined && goStrings.includes(name)) {
      this.#mistyped = name
    }
  }

  #nameAt(start: number, end: number): MemberName | undefined {
    const key = this.#line.toString('latin1', start, end)
    return memberNames.get(key) ?? goNames.get(decodeString(this.#line, start, end, key).toLowerCase())
  }

  #apiEvent(): EventLine | Rejection {
    if (this.#mistyped !== undefined) return reject('not-json', this.#mistyped, 'is not a string')
    const fields = {
      type: this.#text('event-type'),
      version: this.#text('event-type-version'),
      time: this.#text('event-time'),
      id: this.#text('event-id'),
      data: this.#data(),
    }
    return { kind: 'fields', fields, names: apiNames }
  }

  #cloudEvent(cloudEventIds: CloudEventIds, now: () => Date): EventLine | Rejection {
    const strings: readonly MemberName[] = ['specversion', 'type', 'source', 'id', 'time']
    const mistyped = strings.find((name) => this.#starts[name] >= 0 && !this.#hasText(name) && !this.#isNull(name))
    if (mistyped !== undefined) return reject('not-json', mistyped, 'is not a string')
    const specversion = this.#text('specversion')
    if (specversion !== '1.0') return reject('unsupported', 'specversion', `${quote(specversion)} is not "1.0"`)
    if (this.#starts.data_base64 >= 0 && !this.#isNull('data_base64')) {
      return reject('unsupported', 'data_base64', 'is not supported: the Events API carries JSON only')
    }
    const type = this.#text('type')
    if (type === '') return reject('missing', 'type', 'is missing')
    const [, name, version] = /^(.*)\.(v\d+)$/s.exec(type) ?? []
    if (name === undefined || version === undefined) {
      return reject('missing', 'type', `${quote(type)} does not end in a version like .v1`)
    }
    const id = this.#text('id')
    if (id === '') return reject('missing', 'id', 'is missing')
    const source = this.#text('source')
    if (source === '') return reject('missing', 'source', 'is missing')
    const fields = {
      type: name,
      version,
      time: this.#text('time') || now().toISOString(),
      id: isUuid(id) ? id : cloudEventIds.derive(source, id),
      data: this.#data(),
    }
    return { kind: 'fields', fields, names: cloudNames }
  }

  #hasText(name: MemberName): boolean {
    return this.#line[this.#starts[name]] === 0x22
  }

  #isNull(name: MemberName): boolean {
    return this.#line[this.#starts[name]] === 0x6e
  }

  /** '' for null and for a member that is not there. */
  #text(name: MemberName): string {
    if (!this.#hasText(name)) return ''
    return decodeString(this.#line, this.#starts[name] + 1, this.#ends[name] - 1)
  }

  #data(): Uint8Array {
    return this.#starts.data < 0 ? noData : this.#line.subarray(this.#starts.data, this.#ends.data)
  }
}

/** The string between two offsets, which exclude its quotes. @param latin1 the same bytes as text */
function decodeString(line: Buffer, start: number, end: number, latin1 = line.toString('latin1', start, end)): string {
  if (/^[ !#-[\]-~]*$/.test(latin1)) return latin1
  const decoded: unknown = JSON.parse(line.toString('utf8', start - 1, end + 1))
  return String(decoded)
}
