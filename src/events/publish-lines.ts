import { asError, RejectedEventsError } from '../errors.js'
import type { Checkpoint } from './checkpoint.js'
import { type Counts, noCounts } from './checkpoint-slot.js'
import type { EventEncoder } from './event-encoder.js'
import type { KeyOfLine } from './event-key.js'
import {
  EventSender,
  type Outcome,
  type Sendable,
  type SenderCounts,
  type SenderDeps,
  type SenderOptions,
} from './event-sender.js'
import type { Line, LineReader } from './line-reader.js'
import type { Refusal, RejectsFile } from './rejects-file.js'
import { shortReason } from './short-reason.js'
import type { TroubleReport } from './trouble.js'
import { maxOpenLines, Window } from './window.js'

export interface LinesToPublish {
  readonly reader: LineReader
  readonly encoder: EventEncoder
  /** undefined: nothing is remembered. */
  readonly checkpoint: Checkpoint | undefined
  /** Takes the refused lines; undefined: the first one ends the run. */
  readonly rejects: RejectsFile | undefined
  /** More rejects in this run than this end it. */
  readonly maxRejects: number
  readonly keyOf: KeyOfLine | undefined
}

/** What the runs with a checkpoint have done, and what this one has. */
export interface Totals extends SenderCounts {
  /** Of all runs; without a checkpoint, of this run. */
  readonly all: Counts
  readonly thisRun: Counts
}

interface LineItem extends Sendable {
  readonly line: Line
  /** Its place in the window. */
  readonly place: number
}

/** Publishes the lines of an input. */
export class LinePublisher {
  readonly #lines: LinesToPublish
  readonly #window: Window
  readonly #sender: EventSender<LineItem>
  readonly #before: Counts
  readonly #counts: { -readonly [Name in keyof Counts]: number } = { ...noCounts }
  #isFilling = false
  #hasEnded = false
  #hasReadAll = false
  #failure: Error | undefined
  #position: number
  #unfinished: Line | undefined

  constructor(lines: LinesToPublish, options: SenderOptions, deps: SenderDeps, report: TroubleReport) {
    const { checkpoint } = lines
    this.#lines = lines
    this.#before = checkpoint?.found.counts ?? noCounts
    this.#position = checkpoint?.found.offset ?? 0
    this.#window = new Window(this.#before, checkpoint)
    this.#sender = new EventSender(
      {
        next: () => this.#next(),
        onOutcome: (item, outcome) => {
          this.#settle(item, outcome)
        },
        ...report,
      },
      options,
      deps,
    )
  }

  get totals(): Totals {
    const { published, ignored, rejected } = this.#counts
    const all = {
      published: this.#before.published + published,
      ignored: this.#before.ignored + ignored,
      rejected: this.#before.rejected + rejected,
    }
    return { all, thisRun: { published, ignored, rejected }, ...this.#sender.counts }
  }

  /** How many lines of this run have been answered. */
  get answered(): number {
    return this.#counts.published + this.#counts.ignored + this.#counts.rejected
  }

  /** Whether every line that was read has been answered. */
  get isSettled(): boolean {
    return this.#window.isSettled
  }

  /** Whether no line that the checkpoint does not include has been sent, in this run or in the one before. */
  get isComplete(): boolean {
    if (!this.isSettled) return false
    // A run that did not end cleanly has sent at most so many lines after the checkpoint.
    return this.#lines.checkpoint?.found.isComplete !== false || this.#hasReadAll || this.answered >= maxOpenLines
  }

  /** How many bytes of the input have been read. */
  get position(): number {
    return this.#position
  }

  /**
   * The last line, if it is left for the next run with the checkpoint: without a line break and not complete, it is probably still being
   * written.
   */
  get unfinished(): Line | undefined {
    return this.#unfinished
  }

  /** Publishes until the input ends. @throws RejectedEventsError, and what the sender, the reader and the files throw */
  async run(): Promise<void> {
    await this.#lines.checkpoint?.begin()
    // From here on, events are sent: a crash may mean that they are sent again.
    this.#sender.wake()
    try {
      await this.#sender.done
    } catch (error) {
      // What ended the reading explains more than a failure after it.
      throw this.#failure ?? error
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Reads no more, and waits for the answers that are under way. */
  async stop(milliseconds: number): Promise<void> {
    await this.#sender.drain(milliseconds)
  }

  #next(): LineItem | undefined {
    try {
      return this.#nextEvent()
    } catch (error) {
      // The checkpoint could not be written.
      this.#end(error)
      return undefined
    }
  }

  #nextEvent(): LineItem | undefined {
    const { reader, encoder, keyOf } = this.#lines
    while (this.#failure === undefined && this.#window.hasRoom()) {
      const line = reader.take()
      if (line === undefined) {
        this.#fill()
        return undefined
      }
      if (line === reader.unterminated && this.#isLeft(line)) {
        this.#unfinished = line
        continue
      }
      this.#position = line.end
      const place = this.#window.add(line)
      const event = line.bytes === undefined ? undefined : encoder.encodeLine(line.bytes, line.number)
      if (event?.kind === 'event') {
        const key = keyOf === undefined || line.bytes === undefined ? undefined : keyOf(line.bytes)
        return { line, place, id: event.id, body: event.body, key }
      }
      const reason = event?.reason ?? 'the line is longer than 64 KiB'
      this.#reject(line, place, { reason, field: event?.field, status: undefined })
    }
    return undefined
  }

  /** Whether the last line of the input is left for the next run. A line that is too long is rejected, whatever its end will be. */
  #isLeft({ bytes }: Line): boolean {
    return this.#lines.checkpoint !== undefined && bytes !== undefined && !isJson(bytes)
  }

  #settle({ line, place }: LineItem, outcome: Outcome): void {
    if (outcome.kind === 'rejected') this.#reject(line, place, outcome)
    else {
      this.#counts[outcome.kind]++
      this.#window.settle(place, outcome.kind)
    }
  }

  #reject(line: Line, place: number, refusal: Refusal): void {
    const { rejects, maxRejects } = this.#lines
    try {
      if (rejects === undefined) throw rejectedError(line, refusal)
      rejects.append(line, refusal)
      this.#counts.rejected++
      this.#window.settle(place, 'rejected')
      if (this.#counts.rejected > maxRejects) throw tooManyRejects(maxRejects, refusal)
    } catch (error) {
      this.#end(error)
    }
  }

  #fill(): void {
    if (this.#isFilling || this.#hasEnded) return
    this.#isFilling = true
    this.#lines.reader.fill().then(
      (mayHaveMore) => {
        this.#isFilling = false
        if (mayHaveMore) this.#sender.wake()
        else {
          this.#hasEnded = this.#hasReadAll = true
          this.#sender.finish().catch(() => undefined)
        }
      },
      (error: unknown) => {
        this.#end(error)
      },
    )
  }

  /** Ends the run after the answers that are under way have arrived. */
  #end(error: unknown): void {
    this.#failure ??= asError(error)
    this.#hasEnded = true
    this.#sender.finish().catch(() => undefined)
  }
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString())
    return true
  } catch {
    return false
  }
}

function rejectedError({ offset, number }: Line, { reason, field, status }: Refusal): RejectedEventsError {
  return new RejectedEventsError(`the event on line ${number} (byte ${offset}) was rejected: ${shortReason(reason)}`, {
    reason: 'first-reject',
    details: { line: number, offset, reason, field, status },
  })
}

function tooManyRejects(maxRejects: number, { reason }: Refusal): RejectedEventsError {
  const events = maxRejects === 1 ? 'event was' : 'events were'
  return new RejectedEventsError(
    `more than ${maxRejects} ${events} rejected; the last reason: ${shortReason(reason)}`,
    {
      reason: 'too-many-rejects',
      details: { maxRejects, reason },
    },
  )
}
