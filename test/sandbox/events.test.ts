import { describe, expect, test } from 'vitest'
import { createEvents, type Events } from '../../src/sandbox/events/events.js'
import { withSubscriptionList } from '../../src/sandbox/events/subscription-list.js'
import type { Answer } from '../../src/sandbox/http/exchange.js'

const events = createEvents(() => 'a-new-id')
const publish = (body: string, app = 'demo', service = events): Answer =>
  service(app, {
    method: 'POST',
    path: `/${app}/v1/events`,
    query: new URLSearchParams(),
    headers: {},
    body: Buffer.from(body),
  })

const FIELDS = {
  'event-type': 'order.created',
  'event-type-version': 'v1',
  'event-time': '2019-04-11T08:30:00Z',
  data: {},
}
const event = (more: object = {}): string => JSON.stringify({ ...FIELDS, ...more })
/** The field and the type of the first complaint, or 'fine'. */
const complaint = (answer: Answer): string => {
  if (answer.status === 200) return 'fine'
  const [, field, type] = /"details":\[\{"field":"([^"]+)","type":"([^"]+)"/.exec(answer.body) ?? []
  return field === undefined ? answer.body : `${field} ${type ?? ''}`
}

describe('an event', () => {
  test('may have 65536 bytes, and no more', () => {
    const sized = (length: number): Answer => {
      const body = event()
      return publish(body + ' '.repeat(length - body.length))
    }
    // White space after the event is not read; inside the event it counts.
    expect(sized(70_000).status).toBe(200)
    const inside = (length: number): Answer => publish(event().replace('{', '{' + ' '.repeat(length - event().length)))
    expect([inside(65536).status, inside(65537).status]).toEqual([200, 413])
    expect(inside(65537).body).toContain('"moreInfo":"http: request body too large"')
  })

  test('must have no more than 65536 bytes after it is encoded for the bus', () => {
    const forBus = `{"source-id":"demo",${event({ data: '' }).slice(1)}`.length
    const room = 65536 - forBus
    expect([
      publish(event({ data: 'x'.repeat(room) })).status,
      publish(event({ data: 'x'.repeat(room + 1) })).status,
    ]).toEqual([200, 413])
    const escaped = Math.floor(room / 6)
    expect([
      publish(event({ data: '&'.repeat(escaped) })).status,
      publish(event({ data: '&'.repeat(escaped + 1) })).status,
    ]).toEqual([200, 413])
    // 1e20 has four bytes, and 21 once it is encoded.
    const numbers = (count: number): Answer =>
      publish(event({ data: '' }).replace('"data":""', `"data":[${Array(count).fill('1e20').join(',')}]`))
    const fitting = Math.floor((room + 2 - 1) / 22)
    expect([numbers(fitting).status, numbers(fitting + 1).status]).toEqual([200, 413])
    expect(publish(event({ data: '&'.repeat(escaped + 1) })).body).toBe(
      '{"status":413,"type":"request_body_too_large","message":"Request body too large"}\n',
    )
  })

  test.each([
    ['2020-02-29T00:00:00Z', 'fine'],
    ['2019-02-29T00:00:00Z', 'event-time invalid_field'],
    ['2019-04-31T00:00:00Z', 'event-time invalid_field'],
    ['2019-13-01T00:00:00Z', 'event-time invalid_field'],
    ['2019-00-01T00:00:00Z', 'event-time invalid_field'],
    ['0000-01-01T00:00:00Z', 'fine'],
    ['2019-04-11T23:59:59.123456789-23:59', 'fine'],
    ['2019-04-11T08:60:00Z', 'event-time invalid_field'],
    ['2019-04-11T08:30:00+02:60', 'event-time invalid_field'],
    ['2019-04-11T08:30:00.Z', 'event-time invalid_field'],
    [' 2019-04-11T08:30:00Z', 'event-time invalid_field'],
  ])('at %s is %s', (time, expected) => {
    expect(complaint(publish(event({ 'event-time': time })))).toBe(expected)
  })

  test.each([
    [{ 'event-type': 'a-b.c-1' }, 'fine'],
    [{ 'event-type': 'a..b' }, 'event-type invalid_field'],
    [{ 'event-type': '-a' }, 'event-type invalid_field'],
    [{ 'event-type-version': '...' }, 'event-type-version invalid_field'],
    [{ 'event-type-version': '.....', 'event-type': 'A' }, 'event-type-version invalid_field'],
    [{ 'event-type-version': 'V1234' }, 'event-type-version invalid_field_length'],
    [{ 'event-id': '', 'event-time': 'x' }, 'event-time invalid_field'],
    [{ 'event-id': 'x', data: null }, 'event-id invalid_field'],
    [{ 'event-id': '00000000-0000-0000-0000-000000000000' }, 'fine'],
    [{ 'event-type': 'Order', 'event-type-version': '1.0' }, 'event-type invalid_field'],
    [{ data: 0 }, 'fine'],
    [{ data: [[]] }, 'fine'],
  ])('with %j is %s', (more, expected) => {
    expect(complaint(publish(event(more)))).toBe(expected)
  })

  test('of an App with a name that the bus does not take is refused for its source', () => {
    expect(complaint(publish(event({ 'event-type': 'A' }), 'My_App'))).toBe('source-id invalid_field')
    expect(complaint(publish(event(), 'a'.repeat(254)))).toBe('source-id invalid_field_length')
  })

  test('has its fields whatever their case, and of several the last', () => {
    const twice = event().replace('{', '{"EVENT-TYPE":"A","Event-Type-Version":"v2",')
    expect(complaint(publish(twice))).toBe('fine')
    expect(complaint(publish(event().replace('}}', '},"EVENT-TYPE":"A"}')))).toBe('event-type invalid_field')
  })

  test('with a number that a float64 cannot hold is refused with the words of Go', () => {
    const refusal = publish(event().replace('"data":{}', '"data":{"a":[1e400]}'))
    expect([refusal.status, JSON.parse(refusal.body)]).toEqual([
      400,
      {
        status: 400,
        type: 'bad_payload_syntax',
        message: 'Bad payload syntax',
        moreInfo: 'json: cannot unmarshal number 1e400 into Go struct field PublishRequest.data of type float64',
      },
    ])
  })

  test('gets an id when it has none', () => {
    const body = (more: object): string => publish(event(more)).body
    expect(body({ 'event-id': '' })).toContain('{"event-id":"a-new-id","status":"published"')
    expect(body({ 'event-id': null })).toContain('"event-id":"a-new-id"')
  })

  test('is ignored when nothing subscribes to its type and version', () => {
    const some = createEvents(
      () => 'a-new-id',
      [
        { type: 'order.created', version: 'v1' },
        { type: 'order.deleted', version: 'v2' },
      ],
    )
    const statusOf = (more: object, service = some): string =>
      /"status":"(\w+)"/.exec(publish(event(more), 'demo', service).body)?.[1] ?? ''
    expect(statusOf({})).toBe('published')
    expect(statusOf({ 'event-type-version': 'v2' })).toBe('ignored')
    expect(statusOf({ 'event-type': 'order.deleted' })).toBe('ignored')
    expect(statusOf({ 'event-type': 'order.deleted', 'event-type-version': 'v2' })).toBe('published')
    expect(
      statusOf(
        {},
        createEvents(() => '', []),
      ),
    ).toBe('ignored')
    expect(complaint(publish(event({ data: null }), 'demo', some))).toBe('data missing_field')
  })
})

describe('the list of subscriptions', () => {
  const subscriptions = [{ type: 'order.created', version: 'v1' }]
  const ask = (service: Events, method: string, path: string): Answer =>
    service('demo', { method, path, query: new URLSearchParams(), headers: {}, body: Buffer.from(event()) })
  const path = '/demo/v1/events/subscribed'

  test('has each type and version; it is null when there is none', () => {
    const listed = ask(withSubscriptionList(events, subscriptions), 'GET', path)
    expect([listed.status, listed.body]).toEqual([200, '{"eventsInfo":[{"name":"order.created","version":"v1"}]}\n'])
    expect(ask(withSubscriptionList(events, []), 'GET', path).body).toBe('{"eventsInfo":null}\n')
  })

  test('leaves all other requests to the service', () => {
    const service = withSubscriptionList(events, subscriptions)
    for (const [method, other] of [
      ['POST', path],
      ['DELETE', path],
      ['GET', '/demo/v1/events'],
      ['GET', '/demo/v1/events/subscribed/x'],
      ['GET', '/demo/v1/eventssubscribed'],
    ] as const)
      expect([method, other, ask(service, method, other)]).toEqual([method, other, ask(events, method, other)])
  })
})
