import type { Json, JsonObject } from './json.js'
import { badRequest } from './refusal.js'
import { namespaces, secrets, type Resource } from './resources.js'

/** Newer versions of `kubectl create` send the built-in kinds in this form, whatever discovery offers. Answers are JSON. */
export const PROTOBUF = 'application/vnd.kubernetes.protobuf'

/** How a field is read. A message has the fields that are read by their numbers (k8s.io/api, generated.proto). */
type Reading = 'text' | 'bytes' | 'flag' | 'map of texts' | 'map of bytes' | Message
type Message = ReadonlyMap<number, readonly [name: string, reading: Reading]>

const METADATA: Message = new Map([
  [1, ['name', 'text']],
  [2, ['generateName', 'text']],
  [11, ['labels', 'map of texts']],
  [12, ['annotations', 'map of texts']],
])
const MESSAGES = new Map<Resource, Message>([
  [namespaces, new Map([[1, ['metadata', METADATA]]])],
  [
    secrets,
    new Map<number, readonly [string, Reading]>([
      [1, ['metadata', METADATA]],
      [2, ['data', 'map of bytes']],
      [3, ['type', 'text']],
      [4, ['stringData', 'map of texts']],
      [5, ['immutable', 'flag']],
    ]),
  ],
])

/** Precedes the envelope. */
const MAGIC = Buffer.from('k8s\0')
/** The field of the envelope that holds the message. */
const RAW = 2

/** The object in a body; undefined for a resource whose message is not known. @throws Refusal */
export function readProtobuf(body: Buffer, resource: Resource): JsonObject | undefined {
  const message = MESSAGES.get(resource)
  if (message === undefined) return undefined
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw badRequest('the body is not an object in protobuf')
  const raw = readFields(body.subarray(MAGIC.length)).find(({ number }) => number === RAW)
  return readMessage(raw?.bytes ?? Buffer.alloc(0), message)
}

function readMessage(bytes: Buffer, message: Message): JsonObject {
  const result = new Map<string, Json>()
  const maps = new Map<string, Map<string, Json>>()
  for (const field of readFields(bytes)) {
    const [name, reading] = message.get(field.number) ?? []
    if (name === undefined || reading === undefined) continue
    if (reading === 'map of texts' || reading === 'map of bytes') {
      const [key, value] = readEntry(field, reading)
      const entries = maps.get(name) ?? new Map<string, Json>()
      maps.set(name, entries.set(key, value))
    } else {
      const value = readField(field, reading)
      // Protobuf does not distinguish an empty text from an absent one.
      if (value !== '') result.set(name, value)
    }
  }
  for (const [name, entries] of maps) result.set(name, Object.fromEntries(entries))
  return Object.fromEntries(result)
}

type MapReading = 'map of texts' | 'map of bytes'

function readField({ bytes, count }: Field, reading: Exclude<Reading, MapReading>): Json {
  switch (reading) {
    case 'text':
      return bytes.toString('utf8')
    case 'bytes':
      return bytes.toString('base64')
    case 'flag':
      return count !== 0
    default:
      return readMessage(bytes, reading)
  }
}

function readEntry({ bytes }: Field, reading: MapReading): [key: string, value: string] {
  const entry = readFields(bytes)
  const part = (number: number): Buffer => entry.find((field) => field.number === number)?.bytes ?? Buffer.alloc(0)
  return [part(1).toString('utf8'), part(2).toString(reading === 'map of texts' ? 'utf8' : 'base64')]
}

interface Field {
  readonly number: number
  /** The value of a text, bytes or a message. */
  readonly bytes: Buffer
  /** The value of a number. */
  readonly count: number
}

function readFields(message: Buffer): readonly Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message[at++]
      if (byte === undefined) throw badRequest('the body ends in the middle of a protobuf message')
      value += (byte % 128) * scale
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const count = tag % 8 === 0 || tag % 8 === 2 ? varint() : 0
    const length = [0, 8, count, 0, 0, 4][tag % 8] ?? 0
    if (at + length > message.length) throw badRequest('the body ends in the middle of a protobuf message')
    fields.push({ number: Math.floor(tag / 8), bytes: message.subarray(at, at + length), count })
    at += length
  }
  return fields
}
