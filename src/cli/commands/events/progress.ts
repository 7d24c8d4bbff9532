import type { Counts } from '../../../events/checkpoint-slot.js'
import type { LinePublisher } from '../../../events/publish-lines.js'

/** What is known of the run. */
interface Run {
  /** Since its start. */
  readonly ms: number
  /** Bytes of the input, where that is known. */
  readonly size: number | undefined
  /** Where it began, and what earlier runs had done. */
  readonly before: { readonly offset: number; readonly counts: Counts }
}

/** `12,345 published, 2 rejected (5,120/s, 3 min left)` */
export function describeProgress({ totals, position }: LinePublisher, { ms, size, before }: Run): string {
  const count = (number: number): string => Math.round(number).toLocaleString('en-US')
  const { published, ignored, rejected } = totals
  const done = sum(totals) - sum(before.counts)
  const speed = ms > 0 ? `${count((done * 1000) / ms)}/s` : ''
  const left =
    size === undefined || position <= before.offset
      ? ''
      : `, ${timeLeft(((size - position) * ms) / (position - before.offset))}`
  return `${count(published)} published${ignored > 0 ? `, ${count(ignored)} ignored` : ''}${rejected > 0 ? `, ${count(rejected)} rejected` : ''} (${speed}${left})`
}

function sum({ published, ignored, rejected }: Counts): number {
  return published + ignored + rejected
}

function timeLeft(ms: number): string {
  if (ms < 60_000) return `${Math.ceil(Math.max(ms, 0) / 1000)} s left`
  return ms < 3_600_000 ? `${Math.ceil(ms / 60_000)} min left` : `${(ms / 3_600_000).toFixed(1)} h left`
}
