import { isUtf8 } from 'node:buffer'
import type { EventFields, FieldNames } from './event-checks.js'
import { CloudEventIds, isUuid } from './event-id.js'
import { JsonProblem, readMembers, skipSpace } from './json-spans.js'
import { quote, rejection, type Rejection } from './rejection.js'

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

/** The members that are read, by their numbers here. */
const members = {
  eventType: 0,
  eventTypeVersion: 1,
  eventTime: 2,
  eventId: 3,
  data: 4,
  specversion: 5,
  type: 6,
  source: 7,
  id: 8,
  time: 9,
  dataBase64: 10,
  dataContentType: 11,
} as const
const memberCount = 12
const apiStrings: readonly number[] = [members.eventType, members.eventTypeVersion, members.eventTime, members.eventId]
/** The strings of a CloudEvent, with their names. */
const cloudStrings = [
  [members.specversion, 'specversion'],
  [members.type, 'type'],
  [members.source, 'source'],
  [members.id, 'id'],
  [members.time, 'time'],
  [members.dataContentType, 'datacontenttype'],
] as const

/** The names that Go matches whatever their case; CloudEvents has lower case only. */
const goNames = new Map<string, number>([
  ['event-type', members.eventType],
  ['event-type-version', members.eventTypeVersion],
  ['event-time', members.eventTime],
  ['event-id', members.eventId],
  ['data', members.data],
])

interface KnownName {
  readonly bytes: Uint8Array
  readonly member: number
}

/** The names as they are usually written, by their length: to compare the bytes of one or two names is faster than to make a string. */
const namesByLength = groupByLength([
  ...goNames,
  ...cloudStrings.map(([member, name]) => [name, member] as const),
  ['data_base64', members.dataBase64],
])

function groupByLength(names: readonly (readonly [string, number])[]): readonly (readonly KnownName[])[] {
  const groups: KnownName[][] = []
  for (const [name, member] of names) (groups[name.length] ??= []).push({ bytes: Buffer.from(name), member })
  return groups
}

const quoteMark = 0x22
const letterN = 0x6e

const noData = new Uint8Array(0)

/**
 * Reads lines in either shape, one after the other. The data stay the bytes that they are.
 *
 * Where the service would read a part of the line only, or read something else than the line says, the line is rejected: a second value
 * after the first one would be lost, and bytes that are not UTF-8 would be replaced.
 */
export class EventLineReader {
  readonly #cloudEventIds = new CloudEventIds()
  readonly #now: () => Date
  #line: Buffer = Buffer.alloc(0)
  /** Where the last member of each name is in the line; -1 if there is none. */
  readonly #starts = new Int32Array(memberCount)
  readonly #ends = new Int32Array(memberCount)
  /** The first field of the Events API whose value is not a string; -1 if there is none. */
  #mistyped = -1
  /** Where the last number is that is too large; -1 if there is none. */
  #hugeNumberAt = -1
  /** Where such a number is in the data; -1 if there is none. */
  #hugeDataAt = -1

  /** @param now the time of a CloudEvent that has none */
  constructor(now: () => Date) {
    this.#now = now
  }

  read(line: Buffer): EventLine | Rejection {
    this.#line = line
    this.#starts.fill(-1)
    this.#mistyped = this.#hugeNumberAt = this.#hugeDataAt = -1
    try {
      return this.#read(line)
    } catch (error) {
      if (error instanceof JsonProblem) return rejection('not-json', undefined, `not valid JSON: ${error.message}`)
      throw error
    }
  }

  #read(line: Buffer): EventLine | Rejection {
    const start = skipSpace(line, 0)
    if (line[start] !== 0x7b) return rejection('not-json', undefined, 'not a JSON object')
    const end = skipSpace(line, readMembers(line, start, this.#take, this.#noteHugeNumber))
    if (end < line.length) return rejection('not-json', undefined, `more text follows the event at byte ${end + 1}`)
    if (!isUtf8(line)) return rejection('not-json', undefined, 'not valid UTF-8')
    // The service ignores names that it does not know, so an event of its API may have this one too.
    const isCloudEvent = this.#has(members.specversion) && !apiStrings.some((member) => this.#has(member))
    if (this.#hugeDataAt >= 0) return rejection('not-json', 'data', hugeNumberProblem(this.#hugeDataAt))
    return isCloudEvent ? this.#cloudEvent() : this.#apiEvent()
  }

  readonly #take = (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void => {
    const member = this.#memberAt(keyStart, keyEnd)
    if (member === undefined) return
    const first = this.#line[valueStart]
    if (member <= members.eventId && first !== quoteMark) {
      // In Go, null leaves a string as it is.
      if (first === letterN && this.#has(member)) return
      if (first !== letterN && this.#mistyped < 0) this.#mistyped = member
    }
    // Go reads the data that a later member replaces, too.
    if (member === members.data && this.#hugeNumberAt >= valueStart) this.#hugeDataAt = this.#hugeNumberAt
    this.#starts[member] = valueStart
    this.#ends[member] = valueEnd
  }

  readonly #noteHugeNumber = (at: number): void => {
    this.#hugeNumberAt = at
  }

  #memberAt(start: number, end: number): number | undefined {
    for (const { bytes, member } of namesByLength[end - start] ?? []) {
      if (hasBytesAt(this.#line, start, bytes)) return member
    }
    // Go folds the long s as well, and the Kelvin sign as toLowerCase does.
    return goNames.get(decodeString(this.#line, start, end).toLowerCase().replaceAll('\u017f', 's'))
  }

  #apiEvent(): EventLine | Rejection {
    if (this.#mistyped >= 0) {
      const name = [apiNames.type, apiNames.version, apiNames.time, apiNames.id][this.#mistyped]
      return rejection('not-json', name, 'is not a string')
    }
    const fields = {
      type: this.#text(members.eventType),
      version: this.#text(members.eventTypeVersion),
      time: this.#text(members.eventTime),
      id: this.#text(members.eventId),
      data: this.#data(),
    }
    return { kind: 'fields', fields, names: apiNames }
  }

  #cloudEvent(): EventLine | Rejection {
    const mistyped = cloudStrings.find(
      ([member]) => this.#has(member) && !this.#hasText(member) && !this.#isNull(member),
    )
    if (mistyped !== undefined) return rejection('not-json', mistyped[1], 'is not a string')
    const specversion = this.#text(members.specversion)
    if (specversion !== '1.0') return rejection('unsupported', 'specversion', `${quote(specversion)} is not "1.0"`)
    if (this.#has(members.dataBase64) && !this.#isNull(members.dataBase64)) {
      return rejection('unsupported', 'data_base64', 'is not supported: the Events API carries JSON only')
    }
    const contentType = this.#text(members.dataContentType)
    if (contentType !== '' && !isJsonType(contentType)) {
      const problem = `${quote(contentType)} is not supported: the Events API carries JSON only`
      return rejection('unsupported', 'datacontenttype', problem)
    }
    const type = this.#text(members.type)
    if (type === '') return rejection('missing', 'type', 'is missing')
    const [, name, version] = /^(.*)\.(v\d+)$/s.exec(type) ?? []
    if (name === undefined || version === undefined) {
      return rejection('missing', 'type', `${quote(type)} does not end in a version like .v1`)
    }
    const id = this.#text(members.id)
    if (id === '') return rejection('missing', 'id', 'is missing')
    const source = this.#text(members.source)
    if (source === '') return rejection('missing', 'source', 'is missing')
    const fields = {
      type: name,
      version,
      time: this.#text(members.time) || this.#now().toISOString(),
      id: isUuid(id) ? id : this.#cloudEventIds.derive(source, id),
      data: this.#data(),
    }
    return { kind: 'fields', fields, names: cloudNames }
  }

  #has(member: number): boolean {
    return this.#startOf(member) >= 0
  }

  #hasText(member: number): boolean {
    return this.#line[this.#startOf(member)] === quoteMark
  }

  #isNull(member: number): boolean {
    return this.#line[this.#startOf(member)] === letterN
  }

  #startOf(member: number): number {
    return this.#starts[member] ?? -1
  }

  #endOf(member: number): number {
    return this.#ends[member] ?? -1
  }

  /** '' for null and for a member that is not there. */
  #text(member: number): string {
    if (!this.#hasText(member)) return ''
    return decodeString(this.#line, this.#startOf(member) + 1, this.#endOf(member) - 1)
  }

  #data(): Uint8Array {
    if (!this.#has(members.data)) return noData
    return this.#line.subarray(this.#startOf(members.data), this.#endOf(members.data))
  }
}

/** Whether data of a content type are JSON, which CloudEvents finds by the subtype (JSON event format 1.0, §3.1). */
function isJsonType(contentType: string): boolean {
  const subtype = /^[^/;]+\/([^;]*)/.exec(contentType)?.[1]?.trim().toLowerCase()
  return subtype === 'json' || subtype?.endsWith('+json') === true
}

/** Why an event with a number that a 64-bit float cannot hold is rejected, after the name of its data. */
export function hugeNumberProblem(at: number): string {
  return `has a number that is too large for a 64-bit float, at byte ${at + 1}`
}

function hasBytesAt(line: Buffer, start: number, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) {
    if (line[start + index] !== bytes[index]) return false
  }
  return true
}

/** The string between two offsets, which exclude its quotes. */
function decodeString(line: Buffer, start: number, end: number): string {
  const latin1 = line.toString('latin1', start, end)
  if (/^[ !#-[\]-~]*$/.test(latin1)) return latin1
  const decoded: unknown = JSON.parse(line.toString('utf8', start - 1, end + 1))
  return String(decoded)
}
