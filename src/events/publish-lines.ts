import { RejectedEventsError } from '../errors.js'
import type { Checkpoint } from './checkpoint.js'
import type { Counts } from './checkpoint-slot.js'
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
import type { TroubleReport } from './trouble.js'
import { Window } from './window.js'

export interface LinesToPublish {
  readonly reader: LineReader
  readonly encoder: EventEncoder
  /** undefined: nothing is remembered. */
  readonly checkpoint: Checkpoint | undefined
  /** Takes the refused lines; undefined: the first one ends the run. */
  readonly rejects: RejectsFile | undefined
  /** More rejects than this end the run. */
  readonly maxRejects: number
  readonly keyOf: KeyOfLine | undefined
}

/** What a run has done; with a checkpoint, together with the runs before it. */
export type Totals = Counts & SenderCounts

export interface PublishEvents extends TroubleReport {
  /** Called after each outcome. */
  onProgress(): void
}

interface LineItem extends Sendable {
  readonly line: Line
  /** Its number in the window. */
  readonly number: number
}

/** Publishes the lines of an input. */
export class LinePublisher {
  readonly #lines: LinesToPublish
  readonly #window: Window
  readonly #sender: EventSender<LineItem>
  readonly #events: PublishEvents
  #totals: Counts
  #rejectedNow = 0
  #isFilling = false
  #hasEnded = false
  #failure: Error | undefined
  #position: number

  constructor(lines: LinesToPublish, options: SenderOptions, deps: SenderDeps, events: PublishEvents) {
    const { checkpoint } = lines
    this.#lines = lines
    this.#events = events
    this.#totals = checkpoint?.found.counts ?? { published: 0, ignored: 0, rejected: 0 }
    this.#position = checkpoint?.found.offset ?? 0
    this.#window = new Window(this.#totals, checkpoint)
    this.#sender = new EventSender(
      {
        next: () => this.#next(),
        onOutcome: (item, outcome) => {
          this.#settle(item, outcome)
        },
        onTrouble: (error) => {
          events.onTrouble(error)
        },
        onRecovery: () => {
          events.onRecovery()
        },
      },
      options,
      deps,
    )
  }

  get totals(): Totals {
    return { ...this.#totals, ...this.#sender.counts }
  }

  /** How many bytes of the input have been read. */
  get position(): number {
    return this.#position
  }

  /** Publishes until the input ends. @throws RejectedEventsError, and what the sender, the reader and the files throw */
  async run(): Promise<void> {
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
      this.#position = line.end
      const number = this.#window.add(line)
      const event = line.bytes === undefined ? undefined : encoder.encodeLine(line.bytes, line.offset)
      if (event?.kind === 'event') {
        const key = keyOf === undefined || line.bytes === undefined ? undefined : keyOf(line.bytes)
        return { line, number, id: event.id, body: event.body, key }
      }
      const reason = event?.reason ?? 'the line is longer than 64 KiB'
      this.#reject(line, number, { reason, field: event?.field, status: undefined })
    }
    return undefined
  }

  #settle({ line, number }: LineItem, outcome: Outcome): void {
    if (outcome.kind === 'rejected') this.#reject(line, number, outcome)
    else {
      const { kind } = outcome
      this.#totals = { ...this.#totals, [kind]: this.#totals[kind] + 1 }
      this.#window.settle(number, kind)
    }
    this.#events.onProgress()
  }

  #reject(line: Line, number: number, refusal: Refusal): void {
    const { rejects, maxRejects } = this.#lines
    try {
      if (rejects === undefined) throw rejectedError(line, refusal)
      rejects.append(line, refusal)
      this.#totals = { ...this.#totals, rejected: this.#totals.rejected + 1 }
      this.#window.settle(number, 'rejected')
      if (++this.#rejectedNow > maxRejects) throw tooManyRejects(maxRejects, refusal)
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
          this.#hasEnded = true
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
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
    this.#hasEnded = true
    this.#sender.finish().catch(() => undefined)
  }
}

function rejectedError({ offset }: Line, { reason, field, status }: Refusal): RejectedEventsError {
  return new RejectedEventsError(`the event at byte ${offset} was rejected: ${reason}`, {
    details: { offset, reason, field, status },
    hints: ['to keep rejected events in a file and go on, add --rejects <file>'],
  })
}

function tooManyRejects(maxRejects: number, { reason }: Refusal): RejectedEventsError {
  return new RejectedEventsError(`more than ${maxRejects} events were rejected, the last one because ${reason}`, {
    hints: ['correct the events in the file of rejects, or allow more with --max-rejects'],
  })
}
