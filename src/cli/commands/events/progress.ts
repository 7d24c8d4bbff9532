import type { LinePublisher } from '../../../events/publish-lines.js'

/** What is known of the run. */
interface Run {
  /** Since its start. */
  readonly ms: number
  /** Bytes of the input, where that is known. */
  readonly size: number | undefined
  /** The offset at which it began. */
  readonly from: number
}

/** `12,345 published, 2 rejected (5,120/s, 3 min left)` */
export function describeProgress({ totals, position }: LinePublisher, { ms, size, from }: Run): string {
  const count = (number: number): string => Math.round(number).toLocaleString('en-US')
  const { published, ignored, rejected } = totals
  const done = published + ignored + rejected
  const speed = ms > 0 ? `${count((done * 1000) / ms)}/s` : ''
  const left =
    size === undefined || position <= from ? '' : `, ${timeLeft(((size - position) * ms) / (position - from))}`
  return `${count(published)} published${ignored > 0 ? `, ${count(ignored)} ignored` : ''}${rejected > 0 ? `, ${count(rejected)} rejected` : ''} (${speed}${left})`
}

function timeLeft(ms: number): string {
  if (ms < 60_000) return `${Math.ceil(Math.max(ms, 0) / 1000)} s left`
  return ms < 3_600_000 ? `${Math.ceil(ms / 60_000)} min left` : `${(ms / 3_600_000).toFixed(1)} h left`
}
