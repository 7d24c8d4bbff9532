import { expect, test } from 'vitest'
import { RunProgress } from '../../src/cli/commands/events/progress.js'

/** A run at a moment. @param before what earlier runs have published */
function runAt(
  seconds: number,
  answered: number,
  position: number,
  before = 0,
): {
  ms: number
  answered: number
  position: number
  isSettled: boolean
  totals: ConstructorParameters<typeof RunProgress>[0]['totals']
} {
  const counts = { published: answered, ignored: 0, rejected: 0 }
  return {
    ms: seconds * 1000,
    answered,
    position,
    isSettled: false,
    totals: { thisRun: counts, all: { ...counts, published: before + answered }, retried: 0, maybeTwice: 0 },
  }
}

/** What is shown at each moment. */
function show(size: number | undefined, ...moments: ReturnType<typeof runAt>[]): string[] {
  const publisher = { ...(moments[0] ?? runAt(0, 0, 0)) }
  const progress = new RunProgress(publisher, size, () => publisher.ms)
  return moments.map((moment) => {
    Object.assign(publisher, moment)
    return progress.describe()
  })
}

test('the speed is that of the last seconds, and the time left follows from it', () => {
  expect(
    show(
      10_000_000,
      runAt(0, 0, 0),
      runAt(1, 2000, 200_000),
      runAt(5, 10_000, 1_000_000),
      runAt(7, 10_400, 1_040_000),
      runAt(10, 11_000, 1_100_000),
    ),
  ).toEqual([
    '0 published (starting)',
    '2,000 published (2,000/s, 49 s left)',
    '10,000 published (2,000/s, 45 s left)',
    '10,400 published (1,400/s, 2 min left)',
    '11,000 published (200/s, 8 min left)',
  ])
  expect(show(4_000_000_000, runAt(0, 0, 0), runAt(5, 1000, 1_000_000))[1]).toContain('(200/s, 5.6 h left)')
})

test('a run that is continued shows the totals of all runs, and its own speed', () => {
  expect(show(2_000_000, runAt(0, 0, 1_000_000, 5000), runAt(2, 100, 1_010_000, 5000))).toEqual([
    '5,000 published (starting)',
    '5,100 published (50/s, 4 min left)',
  ])
})

test('an outage is shown as such within seconds, and so is an input that is silent', () => {
  const outage = [
    runAt(0, 0, 0),
    runAt(1, 500, 5000),
    runAt(3.9, 500, 5000),
    runAt(4, 500, 5000),
    runAt(600, 500, 5000),
  ]
  expect(show(100_000, ...outage).map((text) => text.replace(/.*\(|\)/g, ''))).toEqual([
    'starting',
    '500/s, 19 s left',
    '128/s, 2 min left',
    'waiting for the gateway',
    'waiting for the gateway',
  ])
  const silent = { ...runAt(600, 500, 5000), isSettled: true }
  expect(show(undefined, runAt(0, 0, 0), runAt(1, 500, 5000), silent)[2]).toBe('500 published (waiting for input)')
  // The first answer after it ends that.
  const later = [{ ...silent, ms: 595_000 }, silent, runAt(601, 600, 6000)]
  expect(show(undefined, runAt(0, 0, 0), runAt(1, 500, 5000), ...later)[4]).toBe('600 published (17/s)')
})

test('other outcomes are shown where there are any', () => {
  const totals = { published: 1, ignored: 2000, rejected: 3 }
  const moment = { ...runAt(1, 2004, 10), totals: { all: totals, thisRun: totals, retried: 0, maybeTwice: 0 } }
  expect(show(undefined, runAt(0, 0, 0), moment)[1]).toBe('1 published, 2,000 ignored, 3 rejected (2,004/s)')
})
