import type { EventInput } from './event-input.js'
import { InputEndedEarly } from './input-ended-early.js'
import { orAborted } from './or-aborted.js'

/** How many bytes before its offset a checkpoint remembers, as a hash: another input is recognised by them. */
export const tailBytes = 4096

/** A part of the input as it was read, with the bytes before it. */
interface Block {
  readonly bytes: Buffer
  /** The offset of its first byte. */
  readonly offset: number
  /** At most {@link tailBytes}, fewer only at the beginning of the input. */
  readonly before: Buffer
}

/** A line that is not empty. */
export class Line {
  /** The offset of its first byte in the input. */
  readonly offset: number
  /** The offset after its line break. */
  readonly end: number
  /** Without the line break; undefined for a line with too many bytes, which is not kept. */
  readonly bytes: Buffer | undefined
  /** Which line of the input it is, from 1; blank lines count. */
  readonly number: number
  readonly #block: Block

  constructor(offset: number, end: number, bytes: Buffer | undefined, number: number, block: Block) {
    this.offset = offset
    this.end = end
    this.bytes = bytes
    this.number = number
    this.#block = block
  }

  /** The bytes before `end`: at most {@link tailBytes}, fewer only if the input has no more. */
  tail(): Buffer {
    return lastBytes(this.#block, this.end - this.#block.offset)
  }
}

export interface LineReaderOptions {
  /** Where to begin: after a line, or after the last line of an input that had no line break at its end and has grown since. */
  readonly startAt: number
  /** How many lines end at or before `startAt`. */
  readonly linesBefore: number
  /** A longer line is skipped, and reported without its bytes. */
  readonly maxLineBytes: number
  /** Ends a wait for more input. */
  readonly signal: AbortSignal
}

const lineFeed = 0x0a
const carriageReturn = 0x0d
const byteOrderMark = Buffer.from('\uFEFF')

/**
 * Splits an input into lines. It takes LF and CRLF, a byte-order mark at the beginning, and a last line without a line break; it skips
 * blank lines. Its memory does not grow with the input or with a line.
 *
 * `take` gives the lines that have arrived, without a promise for each; `fill` waits for more.
 */
export class LineReader {
  /** The bytes before `startAt`, by which the caller recognises the input. */
  readonly tailAtStart: Buffer
  readonly #input: EventInput
  readonly #maxLineBytes: number
  readonly #signal: AbortSignal
  #block: Block
  /** Where the next line, or the rest of one, begins in the block. */
  #position = 0
  /** What earlier blocks hold of the line; without its bytes once they are too many. */
  #parts: Buffer[] = []
  #partsLength = 0
  /** How many lines have been cut off, with those before `startAt`. */
  #lines: number
  #hasEnded = false
  #unterminated: Line | undefined

  private constructor(input: EventInput, block: Block, options: LineReaderOptions) {
    this.#input = input
    this.#block = block
    this.#maxLineBytes = options.maxLineBytes
    this.#signal = options.signal
    this.tailAtStart = block.before
    const isAfterLineBreak = block.before.length === 0 || block.before.at(-1) === lineFeed
    // The line break that comes first belongs to the last of the lines before.
    this.#lines = isAfterLineBreak ? options.linesBefore : options.linesBefore - 1
  }

  /**
   * Begins to read an input at an offset. An input that cannot seek is read up to there.
   * @throws InputEndedEarly if it is shorter; what reading throws; the reason of the signal
   */
  static async open(input: EventInput, options: LineReaderOptions): Promise<LineReader> {
    const { startAt, signal } = options
    let block: Block = {
      bytes: Buffer.alloc(0),
      offset: input.seek(Math.max(0, startAt - tailBytes)),
      before: Buffer.alloc(0),
    }
    while (endOf(block) < startAt) {
      const bytes = await orAborted(input.read(), signal)
      if (bytes === undefined) throw new InputEndedEarly(endOf(block))
      block = nextBlock(block, bytes)
    }
    const used = startAt - block.offset
    const start = { bytes: block.bytes.subarray(used), offset: startAt, before: lastBytes(block, used) }
    return new LineReader(input, start, options)
  }

  /** The last line of the input if it has no line break: its program may still be writing it. Known once `take` has given that line. */
  get unterminated(): Line | undefined {
    return this.#unterminated
  }

  /** The next line that has arrived completely. */
  take(): Line | undefined {
    for (;;) {
      const { bytes } = this.#block
      const lineEnd = bytes.indexOf(lineFeed, this.#position)
      if (lineEnd < 0 && !(this.#hasEnded && this.#position < bytes.length + this.#partsLength)) return undefined
      const line = this.#cut(lineEnd < 0 ? bytes.length : lineEnd, lineEnd < 0 ? bytes.length : lineEnd + 1)
      if (lineEnd < 0) this.#unterminated = line
      if (line !== undefined) return line
    }
  }

  /**
   * Waits for more input.
   * @returns whether there may be another line; false at the end of the input
   * @throws what reading throws; the reason of the signal
   */
  async fill(): Promise<boolean> {
    if (this.#hasEnded) return false
    this.#signal.throwIfAborted()
    const bytes = await orAborted(this.#input.read(), this.#signal)
    if (bytes === undefined) {
      this.#hasEnded = true
      return true
    }
    this.#keep(this.#block.bytes.subarray(this.#position))
    this.#block = nextBlock(this.#block, bytes)
    this.#position = 0
    return true
  }

  /** Keeps the beginning of a line whose end has not arrived yet. */
  #keep(part: Buffer): void {
    if (part.length === 0) return
    this.#partsLength += part.length
    // A byte-order mark and a carriage return do not count.
    if (this.#partsLength <= byteOrderMark.length + this.#maxLineBytes + 1) this.#parts.push(part)
    else this.#parts = []
  }

  /** The line that ends at these positions, without and with its line break; undefined if it is blank. */
  #cut(contentEnd: number, end: number): Line | undefined {
    const block = this.#block
    const last = block.bytes.subarray(this.#position, contentEnd)
    const offset = block.offset + this.#position - this.#partsLength
    this.#keep(last)
    const [parts, length] = [this.#parts, this.#partsLength]
    this.#parts = []
    this.#partsLength = 0
    this.#position = end
    const number = ++this.#lines
    if (length === 0) return undefined
    const bytes = parts.length === 0 ? undefined : this.#content(parts, offset)
    if (bytes !== undefined && isBlank(bytes)) return undefined
    const isTooLong = bytes === undefined || bytes.length > this.#maxLineBytes
    return new Line(offset, block.offset + end, isTooLong ? undefined : bytes, number, block)
  }

  /** Joins the parts of a line, without byte-order mark and carriage return. */
  #content(parts: readonly Buffer[], offset: number): Buffer {
    const [only] = parts
    const whole = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
    const start =
      offset === 0 && whole.subarray(0, byteOrderMark.length).equals(byteOrderMark) ? byteOrderMark.length : 0
    const end = whole.at(-1) === carriageReturn ? whole.length - 1 : whole.length
    return start === 0 && end === whole.length ? whole : whole.subarray(start, Math.max(start, end))
  }
}

function endOf({ offset, bytes }: Block): number {
  return offset + bytes.length
}

function nextBlock(block: Block, bytes: Buffer): Block {
  return { bytes, offset: endOf(block), before: lastBytes(block, block.bytes.length) }
}

/** The bytes before a position in a block: at most {@link tailBytes}. */
function lastBytes({ bytes, before }: Block, position: number): Buffer {
  if (position >= tailBytes) return bytes.subarray(position - tailBytes, position)
  return Buffer.concat([
    before.subarray(Math.max(0, before.length + position - tailBytes)),
    bytes.subarray(0, position),
  ])
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09)
}
