import { describe, expect, test } from 'vitest'
import { RawJson } from '../../../src/registry/content.js'
import { serviceYaml, useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()

async function specOf(text: string): Promise<unknown> {
  folder.write({ 's.yaml': serviceYaml(`events:\n  spec:\n${text.replace(/^/gm, '    ')}\n`) })
  const [service] = await folder.read(['s.yaml'])
  const events = service?.content['events']
  const spec: unknown = typeof events === 'object' && events !== null && 'spec' in events ? events['spec'] : undefined
  return spec instanceof RawJson ? spec.text : spec
}

async function problemsOf(text: string): Promise<readonly string[]> {
  folder.write({ 's.yaml': text })
  return (await folder.problems(['s.yaml'])).map((problem) => problem.replace(/^s\.yaml:/, ''))
}

describe('YAML 1.2', () => {
  test('a label may be no, yes, on, off or a date: they are text', async () => {
    folder.write({
      's.yaml': serviceYaml(
        'events: { spec: {} }\nlabels: { a: no, b: yes, c: on, d: off, e: 2001-12-14, f: 2001-12-14t21:59:43.10-05:00, g: 12:30, h: 1_000, n: y }\n',
      ),
    })
    const [service] = await folder.read()
    expect(service?.labels).toEqual({
      a: 'no',
      b: 'yes',
      c: 'on',
      d: 'off',
      e: '2001-12-14',
      f: '2001-12-14t21:59:43.10-05:00',
      g: '12:30',
      h: '1_000',
      n: 'y',
    })
  })

  test.each([
    ['1e3', 'a number'],
    ['0o14', 'a number'],
    ['0x1F', 'a number'],
    ['1.5', 'a number'],
    ['+12', 'a number'],
    ['.5', 'a number'],
    ['true', 'true or false'],
    ['FALSE', 'true or false'],
  ])('%s is not text but %s', async (value, kind) => {
    expect(await problemsOf(serviceYaml(`events: { spec: {} }\nlabels: { a: ${value} }\n`))).toEqual([
      `6:14: labels.a must be text, not ${kind}; quote it`,
    ])
  })

  test.each(['null', '~', ''])('%s is empty', async (value) => {
    const [problem] = await problemsOf(serviceYaml(`events: { spec: {} }\nlabels:\n  a: ${value}\n`))
    expect(problem).toMatch(/^7:\d+: labels\.a must be text, and is empty$/)
  })

  test.each([
    ['a: 1e3', '{"a":1e3}'],
    ['a: 0o14', '{"a":12}'],
    ['a: 014', '{"a":14}'],
    ['a: 0x1F', '{"a":31}'],
    ['version: 1.10', '{"version":1.10}'],
    ['a: 1.', '{"a":1}'],
    ['a: -0', '{"a":-0}'],
    ['a: 9007199254740991', '{"a":9007199254740991}'],
    ['a: "9007199254740993"', '{"a":"9007199254740993"}'],
    ['a: !!str 5', '{"a":"5"}'],
    ['a: ! 5', '{"a":"5"}'],
    ['a: !<tag:yaml.org,2002:str> 5', '{"a":"5"}'],
    ['a: !!float 5', '{"a":5}'],
    ['a: 2001-12-14', '{"a":"2001-12-14"}'],
    ['200: { description: ok }', '{"200":{"description":"ok"}}'],
    ['default: x\n200: y\n0x1: z\nnull: n', '{"default":"x","200":"y","0x1":"z","null":"n"}'],
    ['__proto__: { a: b }\nconstructor: c', '{"__proto__":{"a":"b"},"constructor":"c"}'],
    ['a: &x [1, { b: c }]\nd: *x', '{"a":[1,{"b":"c"}],"d":[1,{"b":"c"}]}'],
    ['&n name: v\nx: *n', '{"name":"v","x":"name"}'],
    ['a: |\n  one\n\n  two\n', '{"a":"one\\n\\ntwo\\n"}'],
    ['a: >-\n  one\n  two\n', '{"a":"one two"}'],
    ['a: "\\u0041\\x41\\/\\ud83d\\ude00"', '{"a":"AA/😀"}'],
    ["'a b': 'it''s'", '{"a b":"it\'s"}'],
    ['? a\n: b', '{"a":"b"}'],
    ['"<<": { a: b }', '{"<<":{"a":"b"}}'],
    ['12345678901234567890: a\n.inf: b', '{"12345678901234567890":"a",".inf":"b"}'],
    ['a: []\nb: {}\nc:', '{"a":[],"b":{},"c":null}'],
  ])('a specification in YAML becomes JSON: %j', async (yaml, json) => {
    expect(await specOf(yaml)).toBe(json)
  })

  test.each([
    ['a: 9007199254740993', '7:8: the integer 9007199254740993 is beyond 2^53, so programs read it differently'],
    ['a: -9007199254740993', '7:8: the integer -9007199254740993 is beyond 2^53, so programs read it differently'],
    ['a: 0xFFFFFFFFFFFFFFFF', '7:8: the integer 0xFFFFFFFFFFFFFFFF is beyond 2^53, so programs read it differently'],
    ['a: 1e999', '7:8: the number 1e999 is too large'],
    ['a: .inf', '7:8: JSON does not have the number .inf'],
    ['a: -.Inf', '7:8: JSON does not have the number -.Inf'],
    ['a: .nan', '7:8: JSON does not have the number .nan'],
    ['a: 1\na: 2', '8:5: a is given twice'],
    ['a: 1\n"a": 2', '8:5: a is given twice'],
    ['a: { b: 1, b: 2 }', '7:16: b is given twice'],
    ['a: { <<: { c: d }, b: 1 }', '7:10: merge keys (<<) are not part of YAML 1.2'],
    ['a: !!timestamp 2001-12-14', '7:8: the tag !!timestamp is not supported here'],
    ['a: !!int "5"', undefined],
    ['a: !!binary aGk=', '7:8: the tag !!binary is not supported here'],
    ['a: !custom x', '7:8: the tag !custom is not supported here'],
    ['a: !!set { b }', '7:8: the tag !!set is not supported here'],
    ['a: !!int x', '7:8: the tag !!int is not supported here'],
    ['a: *b', '7:8: the alias *b refers to an anchor that does not exist'],
    ['a: &b { c: *b }', '7:16: the alias *b refers to the value that it is part of'],
    ['? [a, b]\n: c', '7:7: a name must be text, not a mapping or a list'],
    ['? { a: b }\n: c', '7:7: a name must be text, not a mapping or a list'],
  ])('what programs read differently is a problem: %j', async (yaml, problem) => {
    const text = serviceYaml(`events:\n  spec:\n${yaml.replace(/^/gm, '    ')}\n`)
    expect(await problemsOf(text)).toEqual(problem === undefined ? [] : [problem])
  })

  test('a problem of syntax that leaves the meaning clear does not hide the others', async () => {
    expect(await problemsOf(serviceYaml('x: 1\nname: again\n<<: { a: b }\n'))).toEqual([
      '1:1: a service needs api, events or both, and has neither',
      '5:1: x is not a field of a service',
      '6:1: name is given twice',
      '7:1: merge keys (<<) are not part of YAML 1.2',
    ])
  })

  test('a name given twice is found in a large mapping', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `n${i}`)
    const spec = [...names, 'n3', 'n39'].map((name) => `    ${name}: x\n`).join('')
    expect(await problemsOf(serviceYaml(`events:\n  spec:\n${spec}`))).toEqual([
      '47:5: n3 is given twice',
      '48:5: n39 is given twice',
    ])
  })

  test('an alias does not refer to another document', async () => {
    expect(
      await problemsOf(
        `${serviceYaml('events: { spec: { a: &a b } }\n', 'a')}---\n${serviceYaml('events: { spec: { a: *a } }\n', 'b')}`,
      ),
    ).toEqual(['11:22: the alias *a refers to an anchor that does not exist'])
  })

  test('aliases that grow without bound are refused quickly, and are reported once', async () => {
    const levels = Array.from(
      { length: 40 },
      (_, i) => `    l${i + 1}: &l${i + 1} [${Array.from({ length: 9 }, () => `*l${i}`).join(', ')}]`,
    )
    const text = serviceYaml(`events:\n  spec:\n    l0: &l0 lol\n${levels.join('\n')}\n`)
    const started = performance.now()
    const problems = await problemsOf(text)
    expect(performance.now() - started).toBeLessThan(5000)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(
      /^\d+:\d+: the alias \*l\d+ makes the document too large: 10,000 aliases may repeat 8 MiB of text$/,
    )
  })

  test('a million aliases to a small value are refused', async () => {
    const text = serviceYaml(
      `events:\n  spec:\n    a: &a 1\n    b: [${Array.from({ length: 20_000 }, () => '*a').join(', ')}]\n`,
    )
    expect(await problemsOf(text)).toHaveLength(1)
  })

  test('aliases do not nest a document deeper than it may be', async () => {
    const levels = Array.from({ length: 99 }, (_, i) => `    l${i + 1}: &l${i + 1} [*l${i}]`)
    const [problem, ...more] = await problemsOf(
      serviceYaml(`events:\n  spec:\n    l0: &l0 [x]\n${levels.join('\n')}\n`),
    )
    expect(problem).toMatch(/the alias \*l\d+ nests the document more than 100 levels deep$/)
    expect(more.length).toBeLessThan(10)
  })

  test.each([
    ['flow', `events: { spec: ${'['.repeat(20_000)}`],
    ['block', `events:\n  spec: ${'- '.repeat(20_000)}x`],
  ])('deep nesting is a problem: %s', async (_, yaml) => {
    const [problem] = await problemsOf(serviceYaml(`${yaml}\n`))
    expect(problem).toMatch(/^\d+:\d+: the file is not valid YAML: /)
  })

  test.each([
    ['a tab in the indentation', 'api:\n\ttargetUrl: x\n', /^6:1: the file is not valid YAML: tab/],
    ['an open quote', 'api: "x\n', /^\d+:\d+: the file is not valid YAML: /],
    ['a control character', 'api: \x01\n', /^5:6: the file is not valid YAML: .*non-printable/],
    ['a NUL', 'api: \0\n', /^5:6: the file is not valid YAML: null byte/],
  ])('%s is a problem with its place', async (_, yaml, pattern) => {
    const problems = await problemsOf(serviceYaml(yaml))
    expect(problems[0]).toMatch(pattern)
  })

  test('a directive that gives tags other meanings is a problem', async () => {
    expect(await problemsOf(`%TAG ! tag:example,2000:\n---\n${serviceYaml()}`)).toEqual([
      '1:1: the directive %TAG is not supported',
    ])
    expect(await problemsOf(`%YAML 1.2\n---\n${serviceYaml()}`)).toEqual([])
  })

  test('a byte order mark changes neither values nor places', async () => {
    expect(await problemsOf(`\uFEFF${serviceYaml('x: 1\nevents: { spec: {} }\n')}`)).toEqual([
      '5:1: x is not a field of a service',
    ])
    expect(await problemsOf(`\uFEFFidentfier: x\n`)).toContain(
      '1:1: identfier is not a field of a service; did you mean identifier?',
    )
  })

  test.each(['\r\n', '\r'])('lines may end with %j', async (end) => {
    expect(await problemsOf(serviceYaml('events: { spec: {} }\nx: 1\n').replaceAll('\n', end))).toEqual([
      '6:1: x is not a field of a service',
    ])
  })

  test('text that is not UTF-8 is a problem', async () => {
    folder.write({ 's.yaml': Buffer.concat([Buffer.from(serviceYaml()), Buffer.from([0x23, 0xc3, 0x28])]) })
    expect(await folder.problems()).toEqual(['s.yaml:1:1: the file cannot be read: it is not UTF-8 text'])
    folder.write({ 's.yaml': Buffer.from(`\uFEFF${serviceYaml()}`, 'utf16le') })
    expect(await folder.problems()).toEqual(['s.yaml:1:1: the file cannot be read: it is not UTF-8 text'])
  })

  test('empty documents are skipped', async () => {
    folder.write({
      's.yaml': `---\n---\n# nothing\n---\n${serviceYaml('', 'a')}---\n...\n---\nnull\n---\n${serviceYaml('', 'b')}`,
    })
    expect((await folder.read()).map(({ identifier }) => identifier)).toEqual(['a', 'b'])
  })

  test('a column counts characters, not bytes or UTF-16 units', async () => {
    expect(await problemsOf(serviceYaml('labels: { "😀é": x, b: 1 }\nevents: { spec: {} }\n'))).toEqual([
      '5:23: labels.b must be text, not a number; quote it',
    ])
  })
})
