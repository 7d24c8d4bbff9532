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
