import fc from 'fast-check'
import { load, YAML11_SCHEMA } from 'js-yaml'
import { describe, expect, test } from 'vitest'
import { formatYaml, VerbatimYaml, YamlMap, type YamlValue } from '../../../src/registry/files/yaml-text.js'

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.string({
    unit: fc.constantFrom(
      'a',
      ' ',
      '\n',
      ':',
      '#',
      '-',
      "'",
      '"',
      '|',
      '\t',
      '\u2028',
      '\ud800',
      '.',
      '/',
      '\r',
      '\u0085',
      '\ufeff',
      '\u007f',
    ),
  }),
  fc.constantFrom(
    'no',
    'Yes',
    'off',
    'y',
    'null',
    '~',
    '',
    '1',
    '1.5',
    '1e3',
    '0o14',
    '2001-12-14',
    '<<',
    '=',
    '.inf',
    'true',
    '- a',
    'a: b',
    '# a',
    'a #b',
    '@a',
    '`a',
    '%a',
    '!a',
    '&a',
    '*a',
    '> a',
    '${env:X}',
    'https://a.example/x#y',
    'https://a.example:8080/x?y=z&a',
    'a:',
    'https://a:',
    '---',
    '...',
  ),
)

interface Tree {
  readonly value: YamlValue
  readonly plain: unknown
}
const { tree } = fc.letrec<{ tree: Tree; map: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    text.map((one): Tree => ({ value: one, plain: one })),
    tie('map'),
    fc.array(tie('tree'), { maxLength: 3 }).map((items): Tree => ({
      value: items.map(({ value }) => (Array.isArray(value) ? 'x' : value)),
      plain: items.map(({ value, plain }) => (Array.isArray(value) ? 'x' : plain)),
    })),
  ),
  map: fc.dictionary(text, tie('tree'), { maxKeys: 4 }).map((fields): Tree => ({
    value: new YamlMap(
      Object.entries(fields).map(([name, { value }]) => [name, value, name.length === 1 ? 'a\ncomment' : undefined]),
    ),
    plain: Object.fromEntries(Object.entries(fields).map(([name, { plain }]) => [name, plain])),
  })),
}))

describe('the YAML that kyconnect writes', () => {
  test('is read by YAML 1.1 and YAML 1.2 parsers as what it was made of', () => {
    fc.assert(
      fc.property(tree, ({ value, plain }) => {
        const written = formatYaml(new YamlMap([['a', value]]))
        const expected = { a: plain }
        // A lone half of a surrogate pair is not text that YAML can have; JSON.stringify escapes it, and the parser decodes the escape.
        expect(load(written)).toEqual(expected)
        expect(load(written, { schema: YAML11_SCHEMA })).toEqual(expected)
      }),
      { numRuns: 2000 },
    )
  })

  test('shows no character that would change the order in which a text is read', () => {
    const written = formatYaml(
      new YamlMap([
        ['a', 'x\u202ey'],
        ['b', 'x\u2066\ny'],
        ['c\u200f', '\u061c'],
      ]),
    )
    expect(written).not.toMatch(/\p{Bidi_Control}/u)
    expect(load(written)).toEqual({ a: 'x\u202ey', b: 'x\u2066\ny', 'c\u200f': '\u061c' })
  })

  test('is what a person would write', () => {
    const written = formatYaml(
      new YamlMap([
        ['identifier', 'orders'],
        ['name', 'Orders API (v2)'],
        ['description', 'First line\n\n- and more: #1\n'],
        ['last', 'one\ntwo'],
        ['answer', 'no', 'In YAML 1.1, this\nis not text.'],
        ['spec', new VerbatimYaml('{}')],
        ['removed', undefined, 'Only a comment.'],
        ['api', new YamlMap([['targetUrl', 'https://orders.example:8080/v1?x=y']])],
        ['tags', ['a', '5']],
        [
          'docs',
          [
            new YamlMap([
              ['title', 'x'],
              ['type', 'text'],
            ]),
          ],
        ],
        ['none', new YamlMap([])],
        ['nothing', []],
      ]),
    )
    expect(written).toBe(`identifier: orders
name: Orders API (v2)
description: |
  First line

  - and more: #1
last: |-
  one
  two
# In YAML 1.1, this
# is not text.
answer: "no"
spec: {}
# Only a comment.
api:
  targetUrl: https://orders.example:8080/v1?x=y
tags:
  - a
  - "5"
docs:
  - title: x
    type: text
none: {}
nothing: []
`)
  })
})
