import type { LinePublisher } from '../../../events/publish-lines.js'

/** What a run has done at a moment. */
interface Sample {
  readonly ms: number
  /** Lines of this run that have been answered. */
  readonly answered: number
  /** Bytes of the input that have been read. */
  readonly position: number
}

/** Milliseconds that a speed is the average of. */
const speedOverMs = 5000
/** Milliseconds without an answer after which the run is waiting. */
const waitingAfterMs = 3000

/** Describes how far a run is, and how fast it has been in the last seconds: `12,345 published, 2 rejected (5,120/s, 3 min left)`. */
export class RunProgress {
  readonly #publisher: Pick<LinePublisher, 'totals' | 'answered' | 'position' | 'isSettled'>
  /** Bytes of the input, where that is known. */
  readonly #size: number | undefined
  readonly #monotonic: () => number
  /** In the order of time; the first is old enough to calculate a speed from. */
  #samples: Sample[]
  /** The first sample with the newest answer. */
  #latest: Sample

  constructor(
    publisher: Pick<LinePublisher, 'totals' | 'answered' | 'position' | 'isSettled'>,
    size: number | undefined,
    monotonic: () => number,
  ) {
    this.#publisher = publisher
    this.#size = size
    this.#monotonic = monotonic
    this.#latest = this.#measure()
    this.#samples = [this.#latest]
  }

  /** Call it now and then: what it says of the speed is about the time between the calls. */
  describe(): string {
    const { published, ignored, rejected } = this.#publisher.totals.all
    const done = [
      `${count(published)} published`,
      ...(ignored > 0 ? [`${count(ignored)} ignored`] : []),
      ...(rejected > 0 ? [`${count(rejected)} rejected`] : []),
    ]
    return `${done.join(', ')} (${this.#describeSpeed(this.#measure())})`
  }

  #measure(): Sample {
    return { ms: this.#monotonic(), answered: this.#publisher.answered, position: this.#publisher.position }
  }

  #describeSpeed(now: Sample): string {
    if (now.answered > this.#latest.answered) this.#latest = now
    this.#samples.push(now)
    while ((this.#samples[1]?.ms ?? Infinity) <= now.ms - speedOverMs) this.#samples.shift()
    const [first = now] = this.#samples
    if (now.ms - this.#latest.ms >= waitingAfterMs)
      return this.#publisher.isSettled ? 'waiting for input' : 'waiting for the gateway'
    const ms = now.ms - first.ms
    if (ms === 0) return 'starting'
    const speed = `${count(((now.answered - first.answered) * 1000) / ms)}/s`
    const bytes = now.position - first.position
    return this.#size === undefined || bytes === 0
      ? speed
      : `${speed}, ${describeTimeLeft(((this.#size - now.position) * ms) / bytes)}`
  }
}

function count(number: number): string {
  return Math.round(number).toLocaleString('en-US')
}

function describeTimeLeft(ms: number): string {
  if (ms < 60_000) return `${Math.ceil(Math.max(ms, 0) / 1000)} s left`
  return ms < 3_600_000 ? `${Math.ceil(ms / 60_000)} min left` : `${(ms / 3_600_000).toFixed(1)} h left`
}
