import { expect, test } from 'vitest'
import { formatRows } from '../../src/cli/output/rows.js'

test('columns are as wide as their longest cell', () => {
  expect(
    formatRows([
      ['A', 'B', 'C'],
      ['long', '-', 'x'],
    ]),
  ).toEqual(['A     B  C', 'long  -  x'])
})

test('a very long cell is shown whole, and does not widen the other rows', () => {
  const [first, second] = formatRows([
    ['x'.repeat(1_000_000), 'y'],
    ['short', 'y'],
  ])
  // Their lengths alone: a comparison of such texts takes minutes to print.
  expect([first?.length, second?.length]).toEqual([1_000_003, 103])
})
