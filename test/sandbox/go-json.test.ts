import { describe, expect, test } from 'vitest'
import {
  compact,
  decodeFirst,
  marshal,
  remarshal,
  unmarshal,
  withoutLoneSurrogates,
} from '../../src/sandbox/go/json.js'

const complaint = (act: () => unknown): string => {
  try {
    act()
    return 'none'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

describe("Go's parser", () => {
  test.each([
    ['', 'unexpected end of JSON input'],
    [' \n', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a":1', 'unexpected end of JSON input'],
    ['"abc', 'unexpected end of JSON input'],
    ['tru', 'unexpected end of JSON input'],
    ['-', 'unexpected end of JSON input'],
    ['{a', "invalid character 'a' looking for beginning of object key string"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 2}', "invalid character '2' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['{} x', "invalid character 'x' after top-level value"],
    ['01', "invalid character '1' after top-level value"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['trxe', "invalid character 'x' in literal true (expecting 'u')"],
    ['"\n"', "invalid character '\\n' in string literal"],
    ['"\x01"', "invalid character '\\x01' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ["'", "invalid character '\\'' looking for beginning of value"],
    ['\\', "invalid character '\\\\' looking for beginning of value"],
  ])('says of %j: %s', (text, expected) => {
    expect(complaint(() => unmarshal(Buffer.from(text)))).toBe(expected)
  })

  test('refuses what is nested too deep, and only that', () => {
    const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth))
    expect(complaint(() => unmarshal(nested(100_000)))).toBe("invalid character '[' exceeded max depth")
    expect(compact(unmarshal(nested(1000)))).toBe(nested(1000).toString())
    expect(complaint(() => unmarshal(nested(1001)))).toBe("invalid character '[' exceeded max depth")
    const first = (depth: number): string => {
      const node = decodeFirst(nested(depth), 65536)
      return node === 'too large' ? node : `${compact(node).length} ${remarshal(node).length}`
    }
    expect(first(10_000)).toBe('20000 20000')
    expect(complaint(() => first(10_001))).toBe("invalid character '[' exceeded max depth")
  })

  test('reads the first value of a stream and leaves the rest', () => {
    expect(decodeFirst(Buffer.from('{"a":[1]} and what not'), 100)).toMatchObject({ kind: 'object' })
    expect(complaint(() => decodeFirst(Buffer.from(' '), 100))).toBe('EOF')
    expect(complaint(() => decodeFirst(Buffer.from('{"a":'), 100))).toBe('unexpected EOF')
    expect(decodeFirst(Buffer.from('{"a":1}'), 6)).toBe('too large')
    expect(decodeFirst(Buffer.from('{"a":1}'), 7)).toMatchObject({ kind: 'object' })
    expect(complaint(() => decodeFirst(Buffer.from('{x                  '), 6))).toContain("invalid character 'x'")
  })

  test('reads strings by their escapes, and what is half a character as U+FFFD', () => {
    const value = (text: string): unknown => unmarshal(Buffer.from(text))
    expect(value('"\\u00e4\\n\\"ö\\ud83d\\ude00"')).toMatchObject({ value: 'ä\n"ö😀' })
    expect(value('"\\ud83dx"')).toMatchObject({ value: '\uFFFDx' })
  })
})

describe("Go's writer", () => {
  test('keeps numbers, escapes and the order of keys of what it passes on, and escapes for HTML', () => {
    const sent =
      '{ "b" : 1.0, "10": 1e5,\n"9":12345678901234567890, "s": "\\u00e4 <&> \\/ ö\u2028" , "n":[ null ,true, {} , [] ] }'
    expect(compact(unmarshal(Buffer.from(sent)))).toBe(
      '{"b":1.0,"10":1e5,"9":12345678901234567890,"s":"\\u00e4 \\u003c\\u0026\\u003e \\/ ö\\u2028","n":[null,true,{},[]]}',
    )
  })

  test('escapes for HTML in what it writes itself', () => {
    expect(marshal({ a: '<b>&"\n' })).toBe('{"a":"\\u003cb\\u003e\\u0026\\"\\n"}')
  })

  test('has no short escapes for backspace and form feed', () => {
    expect(marshal('\b\f\t\\b\\\f')).toBe('"\\u0008\\u000c\\t\\\\b\\\\\\u000c"')
  })

  test('sorts what it has read into an interface, and writes its numbers as floats', () => {
    const sent = '{"b":[1.0,-0,1e21,1e20,-0.0],"a":1,"a":{"\\ud800":"\\b\\ud83d\\ude00"},"n":null}'
    expect(remarshal(unmarshal(Buffer.from(sent)))).toBe(
      '{"a":{"\uFFFD":"\\u0008😀"},"b":[1,-0,1e+21,100000000000000000000,-0],"n":null}',
    )
  })

  test('writes U+FFFD for half a pair of surrogates, and nothing else', () => {
    const text = String.raw`["\ud83d\ude00","\uD83D\uDE00","\\ud800","\ud800\\","\udfff\u0041","\ud800\ud83d\ude00","\ud83d\u0041"]`
    expect(withoutLoneSurrogates(text)).toBe(
      String.raw`["\ud83d\ude00","\uD83D\uDE00","\\ud800","` +
        '\uFFFD' +
        String.raw`\\","` +
        '\uFFFD' +
        String.raw`\u0041","` +
        '\uFFFD' +
        String.raw`\ud83d\ude00","` +
        '\uFFFD' +
        String.raw`\u0041"]`,
    )
  })
})
