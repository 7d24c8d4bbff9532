import { crc32 } from 'node:zlib'
import { parseJsonObject, text, valueOf } from '../json.js'

/** How many lines were answered in which way, up to a checkpoint. */
export interface Counts {
  readonly published: number
  /** Accepted, but nothing in the cluster subscribes to their type. */
  readonly ignored: number
  readonly rejected: number
}

/** What a checkpoint remembers. */
export interface Mark {
  /** Each line that ends before it has been answered, and none after it need be. */
  readonly offset: number
  /** SHA-256 of the bytes before the offset, in hexadecimal. */
  readonly tailHash: string
  /** See `deriveEventId`. */
  readonly seed: string
  readonly counts: Counts
}

/** A mark with its place in the order in which marks were written. */
export interface Slot {
  readonly sequence: number
  readonly mark: Mark
}

/** A slot fits into one sector of a disk, which is written completely or not at all. */
export const slotBytes = 512
const format = 'kyconnect-events-1'

/** A slot as text: the CRC-32 of its JSON, the JSON, blanks, and a line break, so that people can read the file. */
export function encodeSlot({ sequence, mark }: Slot): Buffer {
  const json = JSON.stringify({ format, sequence, ...mark })
  return Buffer.from(`${checksum(json)} ${json}`.padEnd(slotBytes - 1) + '\n')
}

/** The slot in these bytes; undefined if they are not one, or were not written completely. */
export function decodeSlot(bytes: Buffer): Slot | undefined {
  const line = bytes.toString('latin1')
  const json = line.slice(9).trimEnd()
  if (line.slice(0, 9) !== `${checksum(json)} `) return undefined
  const parsed = parseJsonObject(json)
  if (parsed === undefined || text(parsed, 'format') !== format) return undefined
  const counts = valueOf(parsed, 'counts')
  const [sequence, offset] = [count(parsed, 'sequence'), count(parsed, 'offset')]
  const [tailHash, seed] = [text(parsed, 'tailHash'), text(parsed, 'seed')]
  if (sequence === undefined || offset === undefined || tailHash === undefined || seed === undefined) return undefined
  if (typeof counts !== 'object' || counts === null) return undefined
  const [published, ignored, rejected] = ['published', 'ignored', 'rejected'].map((name) => count(counts, name))
  if (published === undefined || ignored === undefined || rejected === undefined) return undefined
  return { sequence, mark: { offset, tailHash, seed, counts: { published, ignored, rejected } } }
}

function count(object: object, name: string): number | undefined {
  const value = valueOf(object, name)
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0')
}
