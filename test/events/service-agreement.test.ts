/** The checks before sending, compared with the answers of the service: those that were recorded, and those of the sandbox. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EventEncoder, maxEventBytes } from '../../src/events/event-encoder.js'
import type { Problem } from '../../src/events/rejection.js'
import { createEvents } from '../../src/sandbox/events/events.js'
import type { Answer } from '../../src/sandbox/http/exchange.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { exchanges, type Exchange } from '../support/golden.js'
import { pair } from '../sandbox/identity.js'
import { type Reply, startTestSandbox, wireTo } from '../sandbox/wire.js'

const encoderFor = (source: string): EventEncoder =>
  new EventEncoder({ source, seed: 'seed', now: () => new Date('2026-01-02T03:04:05Z') })

/** What the service says of an event, in the words of the encoder: 'event', or the problem and the field. */
function verdictOf(answer: { status: number; body?: string }): string {
  const { status, body = '' } = answer
  if (status === 200) return 'event'
  if (status === 413) return 'too-large'
  if (body.includes('"bad_payload_syntax"')) return 'not-json'
  const [, field, type] = /"details":\[\{"field":"([^"]+)","type":"([^"]+)"/.exec(body) ?? []
  const problems: Readonly<Record<string, Problem>> = {
    missing_field: 'missing',
    invalid_field: 'invalid',
    invalid_field_length: 'too-long',
  }
  return `${problems[type ?? ''] ?? body} ${field === 'source-id' ? '' : (field ?? '')}`.trim()
}

function verdictBefore(line: Buffer, source = 'demo'): string {
  const result = encoderFor(source).encodeLine(line, 0)
  if (result.kind === 'event') return 'event'
  const { problem, field } = result
  return problem === 'not-json' ? problem : `${problem} ${field ?? ''}`.trim()
}

/** Where the encoder is meant to say something else, and what. */
const differences: Readonly<Record<string, string>> = {
  // The service reads the first object only: the second one would be lost.
  'events-two-objects': 'not-json',
  'events-odd-136': 'not-json',
  // A line without an object is not worth the service's own word for it.
  'events-null-body': 'not-json',
  'events-odd-129': 'not-json',
  // CloudEvents are taken as input.
  'events-cloudevent': 'event',
  'events-odd-182': 'unsupported specversion',
}
const isPublication = ({ name, request: { method, url }, response }: Exchange): boolean =>
  name.startsWith('events-') &&
  !name.startsWith('events-bus-') &&
  method === 'POST' &&
  response.status !== 404 &&
  /^https?:\/\/[^/]+\/[^/]+\/v1\/events[^/]*\/?$/.test(url)

describe('the verdict on an event before it is sent is the one that the service recorded for', () => {
  const publications = [...exchanges.values()].filter(isPublication)
  test.each(publications.map((exchange) => [exchange.name, exchange.what, exchange] as const))(
    '%s: %s',
    (name, _, exchange) => {
      const { url, body = '' } = exchange.request
      const source = new URL(url).pathname.split('/')[1] ?? ''
      expect(verdictBefore(Buffer.from(body), source)).toBe(differences[name] ?? verdictOf(exchange.response))
    },
  )

  test('all of the recordings that publish', () => {
    expect(publications.length).toBeGreaterThanOrEqual(180)
  })
})

const id = '31109198-4d69-4ae0-972d-76117f3748c8'
const types = [
  'order.created',
  'a',
  'a-b.c-1',
  'A',
  'a..b',
  '.a',
  'a.',
  'a-',
  '-a',
  'a.-b',
  'a-.b',
  'a_b',
  'x'.repeat(253),
  'x'.repeat(254),
  'A'.repeat(300),
  'a.'.repeat(127),
  '',
  'ä',
  'a\u0000',
]
const versions = [
  'v1',
  'v',
  '0',
  'v123',
  'v1234',
  '12345',
  'V1234',
  'V1',
  '1.0',
  '-',
  '--',
  ' ',
  '',
  'ä',
  'v1\n',
  '.....',
]
const times = [
  '2019-04-11T08:30:00Z',
  '2020-02-29T23:59:59.5+23:59',
  '2019-02-29T00:00:00Z',
  '1900-02-29T00:00:00Z',
  '2000-02-29T00:00:00Z',
  '2019-04-31T00:00:00Z',
  '2019-13-01T00:00:00Z',
  '2019-00-01T00:00:00Z',
  '2019-01-00T00:00:00Z',
  '2019-04-11T8:30:00Z',
  '2019-04-11T08:30:00,5Z',
  '2019-04-11T24:00:00Z',
  '2019-04-11T08:60:00Z',
  '2019-04-11T08:30:60Z',
  '2019-04-11t08:30:00z',
  '2019-04-11T08:30:00+0200',
  '2019-04-11T08:30:00+24:00',
  '2019-04-11T08:30:00+25:00',
  '2019-04-11T08:30:00+01:60',
  '2019-04-11',
  '',
  '2019-04-11T08:30:00.Z',
  '0000-01-01T00:00:00Z',
]
const ids = [id, id.toUpperCase(), '', `{${id}}`, id.replaceAll('-', ''), `${id} `, 'x']
const names = { 'event-type': types, 'event-type-version': versions, 'event-time': times, 'event-id': ids }

/** JSON text of a field's value: mostly a good one. */
const textOf = (values: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(JSON.stringify(values[0])) },
    { weight: 6, arbitrary: fc.constantFrom(...values).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.constantFrom('null', '5', 'true', '{}', '[]', '"\\u0061"', '"a\\/b"') },
  )
/** Parts of a string, with the bytes that Go encodes each with. */
const costs = { x: 1, é: 2, '<': 6, '\u2028': 6, '\\u003e': 6, '\\b': 6, '\\f': 6, '\\n': 2, '\\ud800': 3 }
const dataText = fc.oneof(
  { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'null',
      '""',
      '" "',
      '0',
      '-0',
      '1e5',
      '12345678901234567890',
      '1.7976931348623158e308',
      '1e-400',
      '"\\ud800"',
      '[]',
      '{}',
      '"<&>"',
      '"\\u003c"',
      ' [ 1 , { "a" : [ ] } ] ',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '01',
      '1.',
      '.5',
      '+1',
      '1e',
      'tru',
      'nul',
      '"\\x"',
      '"\t"',
      '[1,]',
      '{"a":1,}',
      '{a:1}',
      "'a'",
      '[1 2]',
      '"\\u12g4"',
      '{"a"}',
      '"open',
      '[',
      '{"a":[}',
      '1e400',
      '{"a":[-1e400]}',
      '1.7976931348623159e308',
      '9'.repeat(310),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('[', '{"a":'), fc.integer({ min: 9997, max: 10_001 }))
      .map(([open, depth]) => `${open.repeat(depth)}1${(open === '[' ? ']' : '}').repeat(depth)}`),
  },
  // About as large as the service and the bus take: see the sizes in the contract.
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...Object.entries(costs)), fc.integer({ min: -3, max: 3 }))
      .map(([[unit, cost], more]) => `"${unit.repeat(Math.floor((65536 - 185) / cost) + more)}"`),
  },
)
const memberText = fc.oneof(
  ...Object.entries(names).map(([name, values]) => textOf(values).map((value) => [name, value] as const)),
  dataText.map((value) => ['data', value] as const),
)
const spaced = fc.constantFrom('', '', '', ' ', '\t')
const goodMembers: readonly (readonly [string, string])[] = [
  ...Object.entries(names).map(([name, values]) => [name, JSON.stringify(values[0])] as const),
  ['data', '{"a":1}'],
]
/** Go takes a name in any case, and the long s for an s. */
const spelled = (name: string, how: string): string =>
  how === 'upper' ? name.toUpperCase() : how === 'long s' ? name.replace('s', '\u017f') : name
/** An event with each field once, a few of them changed, doubled, in other case, or missing. */
const eventText = fc
  .tuple(
    fc.array(memberText, { maxLength: 3 }),
    fc.subarray([...goodMembers], { minLength: 4 }),
    fc.constantFrom('', '', '', 'upper', 'long s', 'unknown', 'null after it'),
    spaced,
    fc.boolean(),
  )
  .map(([changed, good, how, space, inFront]) => {
    const kept = good.filter(([name]) => inFront || !changed.some(([other]) => other === name))
    const members = [...kept, ...changed].map(
      ([name, value]) => `${JSON.stringify(spelled(name, how))}${space}:${space}${value}`,
    )
    if (how === 'unknown') members.push('"source-id":5', '"é":1e400', '"specversion":"1.0"')
    if (how === 'null after it') members.push('"event-type":null', '"event-id":null')
    return `${space}{${members.join(',')}}${space}`
  })

const service = createEvents(() => id)
const answerTo = (body: Buffer): Answer =>
  service('demo', { method: 'POST', path: '', query: new URLSearchParams(), headers: {}, body })

test.each(Object.entries(names))('each of the values of %s is judged as the service judges it', (name, values) => {
  for (const value of values) {
    const members = goodMembers.map(([other, text]) => [other, other === name ? value : (JSON.parse(text) as unknown)])
    const line = Buffer.from(JSON.stringify(Object.fromEntries(members)))
    expect(`${verdictBefore(line)}: ${value}`).toBe(`${verdictOf(answerTo(line))}: ${value}`)
  }
})

describe('client and sandbox both judge an event as Go does', () => {
  const fields = goodMembers.slice(0, -1).map(([name, value]) => `${JSON.stringify(name)}:${value}`)
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  /** The verdicts are those of a service with the same fields that was built with Go 1.19. */
  const cases: readonly (readonly [what: string, verdict: string, members: string])[] = [
    ['a number that a float64 cannot hold', 'not-json', '"data":1e400'],
    ['one deep in its data', 'not-json', '"data":{"a":[1,-1e400]}'],
    ['one in data that are replaced', 'not-json', '"data":1e400,"data":1'],
    ['one in a member that nothing reads', 'event', '"x":1e400,"data":1'],
    ['the largest float64', 'event', '"data":1.7976931348623158e308'],
    ['a number that rounds to zero', 'event', '"data":1e-400'],
    ['null after the type', 'event', '"event-type":null,"data":1'],
    ['null after the type, in capitals', 'event', '"EVENT-TYPE":null,"data":1'],
    ['null after its data', 'missing data', '"data":1,"data":null'],
    ['data after null', 'event', '"data":null,"data":1'],
    ['a type that is not a string, and then null', 'not-json', '"event-type":5,"event-type":null,"data":1'],
    ['a name with a long s', 'invalid event-type-version', '"event-type-ver\u017fion":"-","data":1'],
    ['a name with a dotless i', 'event', '"event-\u0131d":"x","data":1'],
    ['data of 9,999 levels', 'event', `"data":${nested(9999)}`],
    ['data of 10,000 levels', 'not-json', `"data":${nested(10_000)}`],
  ]
  test.each(cases)('that has %s: %s', (_, verdict, members) => {
    const line = Buffer.from(`{${fields.join(',')},${members}}`)
    expect([verdictBefore(line), verdictOf(answerTo(line))]).toEqual([verdict, verdict])
  })

  test.each([...Object.entries(costs), ['-0,', 3], ['1e20,', 22], ['[[]],', 5]] as const)(
    'that is about as large as the bus takes, made of %j, each of %i bytes',
    (unit, cost) => {
      const frame = `{"source-id":"demo",${fields.join(',')},"data":}`.length
      const sized = (count: number): Buffer => {
        const data = unit.endsWith(',') ? `[${unit.repeat(count).slice(0, -1)}]` : `"${unit.repeat(count)}"`
        return Buffer.from(`{${fields.join(',')},"data":${data}}`)
      }
      // Two quotes, or two brackets and no comma after the last item.
      const fitting = Math.floor((maxEventBytes - frame - (unit.endsWith(',') ? 1 : 2)) / cost)
      // A line that is too long itself does not show what the bus counts.
      const verdicts = cost < Buffer.byteLength(unit) ? ['too-large', 'too-large'] : ['event', 'too-large']
      const lines = [sized(fitting), sized(fitting + 1)]
      expect(lines.map((line) => verdictBefore(line))).toEqual(verdicts)
      expect(lines.map((line) => verdictOf(answerTo(line)))).toEqual(verdicts)
    },
  )
})

/** Each costs a connection. */
const runs = Number(process.env['KYCONNECT_PROPERTY_RUNS'] ?? 300)
const encoder = encoderFor('demo')

describe('300 generated events', () => {
  let sandbox: Sandbox
  let publish: (body: Buffer) => Promise<Reply>
  beforeAll(async () => {
    sandbox = await startTestSandbox()
    const { gateway } = wireTo(sandbox)
    const identity = await pair(sandbox, 'demo')
    publish = (body) => gateway('/demo/v1/events', { method: 'POST', body, ...identity })
  })
  afterAll(() => sandbox.close())

  test('are accepted and refused before sending as the service of the sandbox accepts and refuses them, for the same reason', async () => {
    const lines = fc.sample(eventText, { seed: 20260726, numRuns: runs }).map((text) => Buffer.from(text))
    const verdicts = new Map<string, number>()
    for (const line of lines) {
      const ours = encoder.encodeLine(line, 0)
      const mine = verdictBefore(line)
      const shown = line.toString().slice(0, 500)
      verdicts.set(mine, (verdicts.get(mine) ?? 0) + 1)
      // An event that gets its id before it is sent is larger by that: the service is asked about the body that would be sent.
      if (ours.kind === 'event') expect(`${verdictOf(answerTo(ours.body))}: ${shown}`).toBe(`event: ${shown}`)
      if (mine !== 'too-large') expect(`${mine}: ${shown}`).toBe(`${verdictOf(answerTo(line))}: ${shown}`)
      if (ours.kind === 'event') expect((await publish(ours.body)).body).toContain(`{"event-id":"${ours.id}"`)
      // A line that is too long is not parsed, so another fault in it is not found.
      else if (line.length <= maxEventBytes) expect(verdictOf(await publish(line))).toBe(mine)
      // The service does not read what follows the event.
      else if (Buffer.byteLength(line.toString().trimEnd()) > maxEventBytes)
        expect(verdictOf(await publish(line))).not.toBe('event')
    }
    // The generator reaches what it is meant to reach.
    expect([...verdicts.keys()].sort()).toEqual([
      'event',
      'invalid event-id',
      'invalid event-time',
      'invalid event-type',
      'invalid event-type-version',
      'missing data',
      'missing event-time',
      'missing event-type',
      'missing event-type-version',
      'not-json',
      'too-large',
      'too-long event-type',
      'too-long event-type-version',
    ])
    expect(verdicts.get('event')).toBeGreaterThan(runs / 6)
  })
})
