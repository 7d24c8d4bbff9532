import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { indentJson } from '../../src/cli/output/json-layout.js'

describe('JSON that is indented for a person', () => {
  test('is what JSON.stringify would make of it, where JavaScript can hold the values', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        // Through a parse, as -0 comes back as 0.
        expect(indentJson(text)).toBe(JSON.stringify(JSON.parse(text), null, 2))
        expect(indentJson(JSON.stringify(value, null, 7))).toBe(indentJson(text))
      }),
    )
  })

  test('keeps every value as it was written', () => {
    expect(
      indentJson('{"n":12345678901234567890,"z":1.0,"e":1E2,"s":"a\\u00e9,[\\"]","a":1,"a":2,"o":{},"l":[ ]}'),
    ).toBe(
      [
        '{',
        '  "n": 12345678901234567890,',
        '  "z": 1.0,',
        '  "e": 1E2,',
        '  "s": "a\\u00e9,[\\"]",',
        '  "a": 1,',
        '  "a": 2,',
        '  "o": {},',
        '  "l": []',
        '}',
      ].join('\n'),
    )
  })
})

describe('hostile JSON', () => {
  test('of any depth grows by a bounded factor, and takes no longer than its length', () => {
    const size = 1024 * 1024
    for (const text of [
      '['.repeat(size / 2) + ']'.repeat(size / 2),
      `${'{"a":'.repeat(size / 6)}1${'}'.repeat(size / 6)}`,
      `[${'1,'.repeat(size / 2 - 1)}1]`,
      `${'['.repeat(20)}${'1,'.repeat(size / 2 - 20)}1${']'.repeat(20)}`,
      JSON.stringify('\\"'.repeat(size / 4)),
    ]) {
      const started = performance.now()
      const indented = indentJson(text)
      expect(performance.now() - started).toBeLessThan(10_000)
      expect(indented.length).toBeLessThan(30 * text.length)
      expect(indented.replace(/\s/g, '')).toBe(text.replace(/\s/g, ''))
    }
  })

  test('keeps what is deeper than 20 levels on one line', () => {
    const deep = `${'['.repeat(22)}1,{"a":[]}${']'.repeat(22)}`
    expect(indentJson(deep).split('\n')).toHaveLength(41)
    expect(indentJson(deep)).toContain('[[1, {"a": []}]]')
  })
})
