import { crc32 } from 'node:zlib'
import { parseJsonObject, text, valueOf } from '../json.js'

/** How many lines were answered in which way. */
export interface Counts {
  readonly published: number
  /** Accepted, but nothing in the cluster subscribes to their type. */
  readonly ignored: number
  readonly rejected: number
}

export const noCounts: Counts = { published: 0, ignored: 0, rejected: 0 }

/** What a checkpoint remembers. */
export interface Mark {
  /** Every line that ends at or before this offset has been answered. */
  readonly offset: number
  /** How many lines end at or before the offset. */
  readonly lines: number
  /** SHA-256 of the bytes before the offset, in hexadecimal. */
  readonly tailHash: string
  /** See `deriveEventId`. */
  readonly seed: string
  /** A hash of the App and the gateway that the lines were published to. */
  readonly target: string
  /** No line after the offset has been sent. false while a run is under way, and so after one that was killed. */
  readonly isComplete: boolean
  /** Of all runs. */
  readonly counts: Counts
}

/** A mark with its place in the order in which marks were written. */
export interface Slot {
  readonly sequence: number
  readonly mark: Mark
}

/** A slot fits into one sector of a disk, which is written completely or not at all. */
export const slotBytes = 512
const format = 'kyconnect-events-2'

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
  const sequence = count(parsed, 'sequence')
  const mark = decodeMark(parsed)
  return sequence === undefined || mark === undefined ? undefined : { sequence, mark }
}

function decodeMark(parsed: object): Mark | undefined {
  const [offset, lines] = [count(parsed, 'offset'), count(parsed, 'lines')]
  const [tailHash, seed, target] = [text(parsed, 'tailHash'), text(parsed, 'seed'), text(parsed, 'target')]
  const isComplete = valueOf(parsed, 'isComplete')
  const counts = decodeCounts(valueOf(parsed, 'counts'))
  if (offset === undefined || lines === undefined || counts === undefined) return undefined
  if (tailHash === undefined || seed === undefined || target === undefined) return undefined
  if (typeof isComplete !== 'boolean') return undefined
  return { offset, lines, tailHash, seed, target, isComplete, counts }
}

function decodeCounts(value: unknown): Counts | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const [published, ignored, rejected] = ['published', 'ignored', 'rejected'].map((name) => count(value, name))
  if (published === undefined || ignored === undefined || rejected === undefined) return undefined
  return { published, ignored, rejected }
}

function count(object: object, name: string): number | undefined {
  const value = valueOf(object, name)
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0')
}
