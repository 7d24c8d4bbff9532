import { describe, expect, test } from 'vitest'
import { RawJson } from '../../../src/registry/content.js'
import { useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()

async function problemsOf(text: string): Promise<readonly string[]> {
  folder.write({ 's.json': text })
  return (await folder.problems(['s.json'])).map((problem) => problem.replace(/^s\.json:/, ''))
}

const service = (more: string): string =>
  `{"identifier": "orders", "name": "Orders", "provider": "ACME", "description": "Orders",\n ${more}}`

describe('a service file in JSON', () => {
  test('has places for its fields, on one line and on many', async () => {
    folder.write({ 's.json': service('"api": {"targetUrl": "https://orders.example", "headers": {"X": ["a", "b"]}}') })
    const [one] = await folder.read()
    expect(one?.place).toEqual({ file: 's.json', line: 1, column: 1 })
    expect(one?.placeOf(['api'])).toEqual({ file: 's.json', line: 2, column: 2 })
    expect(one?.placeOf(['api', 'targetUrl'])).toEqual({ file: 's.json', line: 2, column: 10 })
    expect(one?.placeOf(['api', 'headers', 'X', 1])).toEqual({ file: 's.json', line: 2, column: 72 })
    expect(one?.placeOf(['api', 'credentials', 'basic'])).toEqual({ file: 's.json', line: 2, column: 2 })
    expect(one?.placeOf(['documentation'])).toEqual({ file: 's.json', line: 1, column: 1 })
  })

  test('keeps a specification in it byte for byte', async () => {
    const spec =
      '{ "openapi" : "3.0.0",\n\t"x-big": 12345678901234567890, "x": 1.10, "a": "\\u00e9\\/", "d": [ 1e3 , {} ], "d": null }'
    folder.write({
      's.json': service(`"api": {"targetUrl": "https://orders.example", "spec": ${spec}}`).replace(', "d": null', ''),
    })
    const [one] = await folder.read()
    expect(one?.content['api']).toEqual({
      targetUrl: 'https://orders.example',
      spec: new RawJson(spec.replace(', "d": null', '')),
    })
  })

  test('may name its schema for editors, which is not sent', async () => {
    folder.write({ 's.json': service('"$schema": "x", "events": {"spec": {}}') })
    const [one] = await folder.read()
    expect(Object.keys(one?.content ?? {})).toEqual(['provider', 'name', 'description', 'identifier', 'events'])
  })

  test('names have the texts that JSON gives them', async () => {
    folder.write({
      's.json': service(
        '"events": {"spec": {}}, "labels": {"a\\n\\u00e9\\ud83d\\ude00": "\\"x\\\\", "__proto__": "p"}',
      ),
    })
    const [one] = await folder.read()
    expect(Object.entries(one?.labels ?? {})).toEqual([
      ['a\né😀', '"x\\'],
      ['__proto__', 'p'],
    ])
  })

  test.each([
    ['{"a": 1,}', '1:9: the file is not valid JSON: a name in double quotes is expected'],
    ['{"a": 1 "b": 2}', '1:9: the file is not valid JSON: a comma or } is expected'],
    ['{"a" 1}', '1:6: the file is not valid JSON: a colon is expected'],
    ['{"a": }', '1:7: the file is not valid JSON: a value is expected'],
    ['{"a": 01}', '1:7: the file is not valid JSON: a value is expected'],
    ['{"a": +1}', '1:7: the file is not valid JSON: a value is expected'],
    ['{"a": NaN}', '1:7: the file is not valid JSON: a value is expected'],
    ["{'a': 1}", '1:2: the file is not valid JSON: a name in double quotes is expected'],
    ['{"a": "x\n"}', '1:9: the file is not valid JSON: a text has a line break or a control character'],
    ['{"a": "\\x"}', '1:7: the file is not valid JSON: a text has an invalid escape'],
    ['{"a": "x}', '1:7: the file is not valid JSON: a text has no end'],
    ['{"a": "x\\', '1:7: the file is not valid JSON: a text has no end'],
    ['{"a": [1, 2}', '1:12: the file is not valid JSON: a comma or ] is expected'],
    ['{"a": 1} {}', '1:10: the file is not valid JSON: there is more after the end of the value'],
    ['{"a": // no\n 1}', '1:7: the file is not valid JSON: a value is expected'],
    ['identifier: x', '1:1: the file is not valid JSON: a value is expected'],
    ['{"a": 1', '1:8: the file is not valid JSON: a comma or } is expected'],
    ['[]', '1:1: a service must be a mapping, not a list'],
    ['"x"', '1:1: a service must be a mapping, not text'],
  ])('%j is a problem with its place', async (text, problem) => {
    expect(await problemsOf(text)).toEqual([problem])
  })

  test('a name given twice is a problem', async () => {
    expect(await problemsOf(service('"events": {"spec": {"a": 1, "a": 2}}'))).toEqual(['2:30: a is given twice'])
    expect(await problemsOf(service('"events": {"spec": {"a": 1, "\\u0061": 2}}'))).toEqual(['2:30: a is given twice'])
  })

  test('deep nesting is a problem, and is noticed quickly', async () => {
    const started = performance.now()
    expect(await problemsOf(service(`"events": {"spec": {"a": ${'['.repeat(1_000_000)}`))).toEqual([
      '2:125: the file is not valid JSON: it is nested more than 100 levels deep',
    ])
    expect(performance.now() - started).toBeLessThan(5000)
  })

  test('a byte order mark and CR LF change nothing', async () => {
    folder.write({ 's.json': `\uFEFF${service('"events": {"spec": {}}')}`.replaceAll('\n', '\r\n') })
    const [one] = await folder.read()
    expect(one?.placeOf(['events'])).toEqual({ file: 's.json', line: 2, column: 2 })
  })
})

describe('YAML places', () => {
  test('flow and block mappings have the place of each field', async () => {
    folder.write({
      's.yaml': `# a comment
identifier: orders
name: Orders
provider: ACME
description: >
  Several
  lines
api: { targetUrl: 'https://orders.example',
       headers: { X: [a,
         b] } }
documentation:
  displayName: d
  description: d
  type: t
  docs:
    - title: one
    -
      title: two
`,
    })
    const [one] = await folder.read()
    const at = (...path: (string | number)[]): string => {
      const { line, column } = one?.placeOf(path) ?? { line: 0, column: 0 }
      return `${line}:${column}`
    }
    expect(at()).toBe('2:1')
    expect(at('description')).toBe('5:1')
    expect(at('api')).toBe('8:1')
    expect(at('api', 'targetUrl')).toBe('8:8')
    expect(at('api', 'headers', 'X')).toBe('9:19')
    expect(at('api', 'headers', 'X', 0)).toBe('9:23')
    expect(at('api', 'headers', 'X', 1)).toBe('10:10')
    expect(at('documentation', 'docs', 0)).toBe('16:7')
    expect(at('documentation', 'docs', 1, 'title')).toBe('18:7')
    expect(at('documentation', 'docs', 7)).toBe('15:3')
    expect(at('api', 'spec', 'info')).toBe('8:1')
  })
})
