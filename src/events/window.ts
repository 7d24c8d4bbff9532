import type { Counts } from './checkpoint-slot.js'
import type { Line } from './line-reader.js'

/** How a line was answered. */
export type Settlement = keyof Counts

/** The most lines that have been read and are not part of the checkpoint. So many may be sent again after a kill, and no more. */
export const maxOpenLines = 1024

/** What remembers how far the lines have been answered: a checkpoint. */
export interface Marker {
  readonly writtenOffset: number
  /** @param counts of all lines up to this one; the object changes with the next call */
  advance(line: Line, counts: Counts): void
  flush(): void
}

/** Without a checkpoint, lines need not be kept once they are answered. */
const noMarker: Marker = { writtenOffset: Infinity, advance: () => undefined, flush: () => undefined }

/**
 * The lines that were read, in their order, until the checkpoint includes them. Answers arrive in any order; the checkpoint may pass a
 * line only when all lines before it have been answered too.
 */
export class Window {
  readonly #marker: Marker
  readonly #lines = new Array<Line | undefined>(maxOpenLines).fill(undefined)
  readonly #settlements = new Array<Settlement | undefined>(maxOpenLines).fill(undefined)
  /** Lines are numbered from 0. All below are part of the checkpoint. */
  #written = 0
  /** All below are answered. */
  #answered = 0
  #next = 0
  /** How the lines before the oldest unanswered one were answered. */
  readonly #counts: { -readonly [Name in Settlement]: number }

  /** @param counts of the lines before the first one */
  constructor(counts: Counts, marker: Marker = noMarker) {
    this.#counts = { ...counts }
    this.#marker = marker
  }

  /** Whether every line has been answered. */
  get isSettled(): boolean {
    return this.#answered === this.#next
  }

  /** Whether another line may be read. @throws as Checkpoint.flush */
  hasRoom(): boolean {
    if (this.#next - this.#written < maxOpenLines) return true
    this.#forgetWritten()
    if (this.#next - this.#written < maxOpenLines) return true
    // The checkpoint is written in the next turn of the loop, and perhaps no answer arrives after that.
    if (this.#answered > this.#written) {
      this.#marker.flush()
      this.#forgetWritten()
    }
    return this.#next - this.#written < maxOpenLines
  }

  /** Adds the line that was read next; there must be room. @returns its number, for `settle` */
  add(line: Line): number {
    this.#lines[this.#next % maxOpenLines] = line
    return this.#next++
  }

  /** Notes how a line was answered. @throws as Checkpoint.advance */
  settle(number: number, settlement: Settlement): void {
    this.#settlements[number % maxOpenLines] = settlement
    if (number !== this.#answered) return
    let last: Line | undefined
    for (; this.#answered < this.#next; this.#answered++) {
      const place = this.#answered % maxOpenLines
      const settled = this.#settlements[place]
      if (settled === undefined) break
      this.#counts[settled]++
      last = this.#lines[place]
      this.#settlements[place] = undefined
    }
    if (last !== undefined) this.#marker.advance(last, this.#counts)
  }

  #forgetWritten(): void {
    const { writtenOffset } = this.#marker
    for (; this.#written < this.#answered; this.#written++) {
      const place = this.#written % maxOpenLines
      const line = this.#lines[place]
      if (line === undefined || line.end > writtenOffset) return
      this.#lines[place] = undefined
    }
  }
}
