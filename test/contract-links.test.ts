import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './support/kyconnect.js'

const contract = readFileSync(join(root, 'docs/contract.md'), 'utf8')
const sections = new Set([...contract.matchAll(/^## (\d+)\./gm)].map(([, number]) => number))
const traps = new Set(
  [...contract.slice(contract.indexOf('\n## 12.')).matchAll(/^(\d+)\. /gm)].map(([, number]) => number),
)

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
}

test('the contract has its thirteen sections and its traps', () => {
  expect(sections.size).toBe(13)
  expect(traps.size).toBeGreaterThanOrEqual(23)
})

test('the files that the contract names are there', () => {
  const named = [...contract.matchAll(/`([\w./-]+(?:\.md|\/))`/g)].map(([, path = '']) => path)
  const files = named.filter((path) => path.startsWith('.') || path.endsWith('.md'))
  expect(files).toEqual(['../fixtures/golden/', '../fixtures/tutorial.md'])
  for (const file of files) expect(existsSync(join(root, 'docs', file)), file).toBe(true)
})

test('every section and trap that a comment cites is there', () => {
  let cited = 0
  for (const file of [...sources('src'), ...sources('test')]) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const [whole, section] of text.matchAll(/docs\/contract\.md §(\d+)/g)) {
      cited++
      expect(sections, `${file} cites ${whole}`).toContain(section)
    }
    for (const [whole, list = ''] of text.matchAll(/§12, traps? (\d+(?:(?:, | and )\d+)*)/g)) {
      for (const [trap] of list.matchAll(/\d+/g)) expect(traps, `${file} cites ${whole}`).toContain(trap)
    }
  }
  expect(cited).toBeGreaterThan(20)
})
