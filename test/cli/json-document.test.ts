import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonLine } from '../../src/cli/output/json-document.js'

test('a document is one line without control and bidi characters, and holds the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      const line = jsonLine(value)
      expect(line.slice(0, -1)).not.toMatch(/\p{C}/u)
      expect(line.at(-1)).toBe('\n')
      expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('bidi, C1 and characters beyond the first plane are escaped', () => {
  expect(jsonLine('a\u202e\u009b\u007f\u{e0001}b')).toBe('"a\\u202e\\u009b\\u007f\\udb40\\udc01b"\n')
})
