import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Line } from '../../src/events/line-reader.js'
import { type Marker, maxOpenLines, type Settlement, Window } from '../../src/events/window.js'

const none = { published: 0, ignored: 0, rejected: 0 }
const line = (number: number): Line =>
  new Line(number, number + 1, undefined, number + 1, { bytes: Buffer.alloc(0), offset: 0, before: Buffer.alloc(0) })

test('the checkpoint passes a line only once it and all before it are answered, and counts each line once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), fc.constantFrom<Settlement>('published', 'ignored', 'rejected')), {
        minLength: 1,
        maxLength: 60,
      }),
      (answers) => {
        const marks: [number, object][] = []
        const window = new Window(none, {
          writtenOffset: 0,
          flush: () => undefined,
          advance: ({ end }, counts) => marks.push([end, { ...counts }]),
        })
        const open = answers.map((_, index) => window.add(line(index)))
        const settled = new Map<number, Settlement>()
        for (const [pick, settlement] of answers) {
          const [number = -1] = open.splice(pick % open.length, 1)
          settled.set(number, settlement)
          window.settle(number, settlement)
          let prefix = 0
          const counts = { ...none }
          for (let how = settled.get(0); how !== undefined; how = settled.get(prefix)) {
            counts[how]++
            prefix++
          }
          if (prefix > 0) expect(marks.at(-1)).toEqual([prefix, counts])
          else expect(marks).toEqual([])
          expect(window.isSettled).toBe(open.length === 0)
        }
      },
    ),
  )
})

test('no more than 1,024 lines are open that the checkpoint does not include', () => {
  let written = 0
  let pending = 0
  let flushes = 0
  const marker: Marker = {
    get writtenOffset() {
      return written
    },
    advance: ({ end }) => {
      pending = end
    },
    flush: () => {
      flushes++
      written = pending
    },
  }
  const window = new Window(none, marker)
  for (let number = 0; number < maxOpenLines; number++) {
    expect(window.hasRoom()).toBe(true)
    window.add(line(number))
  }
  expect(window.hasRoom()).toBe(false)
  // Only a line at the front makes room.
  window.settle(5, 'published')
  expect([window.hasRoom(), flushes]).toEqual([false, 0])
  window.settle(0, 'published')
  expect([window.hasRoom(), flushes]).toEqual([true, 1])
  window.add(line(maxOpenLines))
  expect(window.hasRoom()).toBe(false)
  // The checkpoint was written meanwhile: nothing needs to be written for the sake of room.
  window.settle(1, 'published')
  written = pending
  expect([window.hasRoom(), flushes]).toEqual([true, 1])
})

test('without a checkpoint, an answered line makes room', () => {
  const window = new Window(none)
  for (let number = 0; number < 10_000; number++) {
    expect(window.hasRoom()).toBe(true)
    window.settle(window.add(line(number)), 'ignored')
  }
  expect(window.isSettled).toBe(true)
})
