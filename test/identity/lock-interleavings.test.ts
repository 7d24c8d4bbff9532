import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Choice, deadLock, Schedule, type Start } from './lock-schedule.js'

/** The first state of the lock's files, from which each schedule begins. */
const beginnings: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'no lock': {},
  'a dead lock': { 'lock.4': deadLock('here') },
  'a released lock': { 'lock.4': deadLock('here'), 'lock.4.released': deadLock('here') },
  'dead locks that were not removed': {
    'lock.3': deadLock('here'),
    'lock.4': deadLock('here'),
  },
  'a dead lock of version 0.1.0': { lock: deadLock('here') },
}

const none = { machines: false, actors: 2, deaths: 0, silences: 0, tries: 2 }

beforeEach(() => {
  // Heartbeats play no part: the schedule says when a process was silent.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Runs every schedule there is, but those that come to a state that was met before. */
async function runAll(start: Start): Promise<{ states: number; faults: string[] }> {
  const met = new Set<string>()
  const open: Choice[][] = [[]]
  for (let prefix = open.pop(); prefix !== undefined; prefix = open.pop()) {
    const made: Choice[] = []
    const given = prefix
    const { faults, choices, holds, isWhole } = await new Schedule(start).run((possible, state) => {
      const [first, ...others] = possible
      const again = given[made.length]
      if (again === undefined) {
        if (met.has(state)) return undefined
        met.add(state)
        for (const other of others) open.push([...made, other])
      }
      const choice = again ?? first
      if (choice !== undefined) made.push(choice)
      return choice
    })
    vi.clearAllTimers()
    if (faults.length > 0) return { states: met.size, faults: [...faults, ...choices.map(describeChoice)] }
    if (holds === 0 && isWhole)
      expect(
        choices.some(({ what }) => what === 'death'),
        'somebody gets it',
      ).toBe(true)
  }
  return { states: met.size, faults: [] }
}

/** Runs one schedule that is as good as random. */
async function runOne(start: Start, seed: number): Promise<readonly string[]> {
  let state = seed
  const next = (bound: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
  const { faults, choices } = await new Schedule(start).run((possible) => {
    // Deaths and silences are as many choices as steps: without this they would come at the very beginning.
    const steps = possible.filter(({ what }) => what === 'step')
    const from = next(12) === 0 ? possible : steps
    return from[next(from.length)]
  })
  vi.clearAllTimers()
  return faults.length === 0 ? [] : [...faults, ...choices.map(describeChoice)]
}

function describeChoice({ what, actor }: Choice): string {
  return `${what} ${actor}`
}

test.each(Object.keys(beginnings))(
  'two processes that begin with %s never hold it together, whatever the order of their steps and whichever of them dies',
  { timeout: 300_000 },
  async (name) => {
    const { states, faults } = await runAll({ ...none, files: beginnings[name] ?? {}, deaths: 2 })
    expect(faults).toEqual([])
    // The steps of two, and their deaths, are many: the test would prove nothing if it met few.
    expect(states).toBeGreaterThan(500)
  },
)

test(
  'of two machines only the later holder changes anything when the other one was silent for a minute',
  { timeout: 300_000 },
  async () => {
    const files = { 'lock.4': deadLock('elsewhere') }
    const { states, faults } = await runAll({ files, machines: true, actors: 2, deaths: 0, silences: 2, tries: 1 })
    expect(faults).toEqual([])
    expect(states).toBeGreaterThan(500)
  },
)

test('three processes, with deaths at any step, never hold it together', { timeout: 300_000 }, async () => {
  for (const files of Object.values(beginnings)) {
    for (let seed = 1; seed <= 2000; seed++) {
      expect(await runOne({ ...none, files, actors: 3, deaths: 2 }, seed), `seed ${seed}`).toEqual([])
    }
  }
})

test('of three machines only the latest holder changes anything', { timeout: 300_000 }, async () => {
  const files = { 'lock.4': deadLock('elsewhere') }
  for (let seed = 1; seed <= 10_000; seed++) {
    const start = { files, machines: true, actors: 3, deaths: 1, silences: 4, tries: 3 }
    expect(await runOne(start, seed), `seed ${seed}`).toEqual([])
  }
})
