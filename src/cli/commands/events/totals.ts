import type { Counts } from '../../../events/checkpoint-slot.js'
import type { Totals } from '../../../events/publish-lines.js'

/** Where a run began. */
export interface Beginning {
  /** From 1. */
  readonly line: number
  /** Whether an earlier run may have sent lines from there on. */
  readonly mayRepeat: boolean
}

/** The totals with --json: of all runs, and of this one. */
export function totalsDocument({ all, thisRun, ...retries }: Totals, { line, mayRepeat }: Beginning): object {
  return { ...all, thisRun: { fromLine: line, mayRepeat, ...thisRun, ...retries } }
}

/** The totals for a person. @param isContinued whether there were runs before this one */
export function describeTotals({ all, thisRun, retried, maybeTwice }: Totals, isContinued: boolean): string {
  const ofThisRun = `${describeCounts(thisRun)}, retried ${retried}, maybe twice ${maybeTwice}`
  return isContinued ? `this run: ${ofThisRun}\nall runs: ${describeCounts(all)}\n` : `${ofThisRun}\n`
}

function describeCounts({ published, ignored, rejected }: Counts): string {
  return `published ${published}, ignored ${ignored} (no subscribers), rejected ${rejected}`
}
