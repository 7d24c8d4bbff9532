import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EncodedEvent, EventEncoder, maxEventBytes } from '../../src/events/event-encoder.js'
import type { Rejection } from '../../src/events/rejection.js'

const now = new Date('2026-01-02T03:04:05.006Z')
const encoder = new EventEncoder({ source: 'demo', seed: 'seed', now: () => now })
const encode = (line: string | Buffer, offset = 0): EncodedEvent | Rejection =>
  encoder.encodeLine(Buffer.from(line), offset)
/** The body as JSON, or the reason of the rejection. */
const sent = (line: object | string): unknown => {
  const result = encode(typeof line === 'string' ? line : JSON.stringify(line))
  if (result.kind === 'rejected') return result.reason
  const body: unknown = JSON.parse(result.body.toString())
  return body
}
const idOf = (line: object, offset = 0, by = encoder): string => {
  const result = by.encodeLine(Buffer.from(JSON.stringify(line)), offset)
  if (result.kind === 'rejected') throw new Error(result.reason)
  return result.id
}

const id = '31109198-4d69-4ae0-972d-76117f3748c8'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const api = {
  'event-type': 'order.created',
  'event-type-version': 'v1',
  'event-time': '2019-04-11T08:30:00Z',
  data: {},
}

describe('a line in the shape of the Events API', () => {
  test('is encoded with its id and with its data as they were written', () => {
    const data = '{"n": 12345678901234567890.10, "é": "\\u003c"}'
    const event = encode(
      `${JSON.stringify({ ...api, data: undefined, 'event-id': id }).slice(0, -1)}, "data" : ${data} }`,
    )
    expect(event.kind === 'event' && event.body.toString()).toBe(
      `{"event-type":"order.created","event-type-version":"v1","event-id":"${id}","event-time":"2019-04-11T08:30:00Z","data":${data}}`,
    )
    expect(event).toMatchObject({ id })
  })

  test('keeps any data that JSON can hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        fc.pre(data !== null && data !== '')
        // Negative zero is not a difference that JSON.stringify keeps.
        expect(sent({ ...api, data })).toMatchObject({ data: JSON.parse(JSON.stringify(data)) as unknown })
      }),
    )
  })

  test('without an id gets one that depends on its offset and on the seed alone', () => {
    expect(idOf(api, 7)).toMatch(uuid)
    expect(idOf(api, 7)).toBe(idOf({ ...api, data: 1 }, 7))
    expect(idOf(api, 7)).not.toBe(idOf(api, 8))
    expect(idOf(api, 7)).not.toBe(idOf(api, 7, new EventEncoder({ source: 'demo', seed: 'other', now: () => now })))
    expect(idOf({ ...api, 'event-id': '' }, 7)).toBe(idOf(api, 7))
    expect(idOf({ ...api, 'event-id': null }, 7)).toBe(idOf(api, 7))
  })

  test.each([
    ['', 'not a JSON object'],
    ['[]', 'not a JSON object'],
    ['{"a":1', 'not valid JSON: it ends too early'],
    ['{"a":1]', 'not valid JSON: byte 7 is not a comma or a closing brace'],
    [
      `${JSON.stringify(api)} ${JSON.stringify(api)}`,
      `more text follows the event at byte ${JSON.stringify(api).length + 2}`,
    ],
    [JSON.stringify({ ...api, 'event-type': 5 }), 'event-type is not a string'],
    [
      JSON.stringify({ ...api, 'event-type': 'Order_Created' }),
      'event-type "Order_Created" is not lower-case letters, digits, "-" and "." like order.created',
    ],
    [
      JSON.stringify({ ...api, 'event-type-version': '1.0' }),
      'event-type-version "1.0" is not lower-case letters and digits like v1',
    ],
    [
      JSON.stringify({ ...api, 'event-type-version': 'v1234' }),
      'event-type-version "v1234" has more than 4 characters',
    ],
    [
      JSON.stringify({ ...api, 'event-time': 'now' }),
      'event-time "now" is not a time like 2019-04-11T08:30:00Z (RFC 3339, capitals)',
    ],
    [JSON.stringify({ ...api, data: undefined }), 'data is missing'],
    ['{"data":[1e400]}', 'data has a number that is too large for a 64-bit float, at byte 10'],
  ])('%s is rejected: %s', (line, reason) => {
    expect(sent(line)).toBe(reason)
  })

  test('with bytes that are not UTF-8 is rejected, because the service would replace them', () => {
    const line = Buffer.from(JSON.stringify({ ...api, data: 'Müller' }), 'latin1')
    expect(encode(line)).toMatchObject({ problem: 'not-json', reason: 'not valid UTF-8' })
  })

  test('is rejected if it is too large, as a request or after the service has encoded it for the bus', () => {
    const sized = (unit: string, bytes: number): EncodedEvent | Rejection =>
      encode(JSON.stringify({ ...api, data: unit.repeat(bytes) }))
    const overhead = JSON.stringify({ 'source-id': 'demo', ...api, 'event-id': id, data: '' }).length
    expect(sized('x', maxEventBytes - overhead).kind).toBe('event')
    expect(sized('x', maxEventBytes - overhead + 1)).toMatchObject({
      problem: 'too-large',
      reason: 'the event has 65537 bytes when the service encodes it for the bus; at most 65536 are allowed',
    })
    expect(sized('<', Math.floor((maxEventBytes - overhead) / 6)).kind).toBe('event')
    expect(sized('<', Math.floor((maxEventBytes - overhead) / 6) + 1)).toMatchObject({ problem: 'too-large' })
    expect(sized('x', maxEventBytes)).toMatchObject({ problem: 'too-large' })
  })

  test('is rejected if its data are nested deeper than Go reads', () => {
    const nested = (depth: number): EncodedEvent | Rejection =>
      encode(JSON.stringify(api).replace('{}}', `${'['.repeat(depth)}${']'.repeat(depth)}}`))
    expect(nested(9999).kind).toBe('event')
    expect(nested(10_000)).toMatchObject({ reason: 'not valid JSON: nested more than 9999 levels deep' })
    expect(encode(`{"a":${'['.repeat(20_000)}`)).toMatchObject({ problem: 'not-json' })
  })

  test('of an App with a name that the bus refuses is rejected', () => {
    const other = new EventEncoder({ source: 'My_App', seed: '', now: () => now })
    expect(other.encodeLine(Buffer.from(JSON.stringify(api)), 0)).toMatchObject({
      problem: 'invalid',
      reason: 'the bus accepts no events from an App with the name "My_App"',
    })
  })
})

describe('a line in the shape of CloudEvents 1.0', () => {
  const cloud = {
    specversion: '1.0',
    type: 'order.created.v1',
    source: '/shop',
    id,
    time: '2019-04-11T08:30:00Z',
    data: { a: 1 },
  }

  test('becomes an event of the Events API', () => {
    expect(sent({ ...cloud, subject: 'x', datacontenttype: 'application/json' })).toEqual({
      ...api,
      'event-id': id,
      data: { a: 1 },
    })
  })

  test.each([
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/vnd.order+json',
    'text/json',
    '',
    null,
  ])('with data of the content type %j becomes one, too', (datacontenttype) => {
    expect(sent({ ...cloud, datacontenttype })).toMatchObject({ data: { a: 1 } })
  })

  test('without a time gets the present one', () => {
    expect(sent({ ...cloud, time: undefined })).toMatchObject({ 'event-time': '2026-01-02T03:04:05.006Z' })
  })

  test('with an id that is not a UUID gets the UUID of version 5 that its source and id make', () => {
    const uuid5 = (namespace: string, name: string): string => {
      const hash = createHash('sha1')
        .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
        .update(name)
        .digest()
      hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6)
      hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8)
      return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    }
    // The example of RFC 9562, appendix A.4, shows that this test calculates it right.
    expect(uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe(
      '2ed6657d-e927-568b-95e1-2665a8aea6a2',
    )
    const namespace = uuid5('6ba7b811-9dad-11d1-80b4-00c04fd430c8', '/shop')
    expect(idOf({ ...cloud, id: 'order-17' }, 1)).toBe(uuid5(namespace, 'order-17'))
    expect(idOf({ ...cloud, id: 'order-17' }, 2)).toBe(uuid5(namespace, 'order-17'))
    expect(idOf({ ...cloud, id: 'order-17', source: '/other' })).not.toBe(uuid5(namespace, 'order-17'))
  })

  test.each([
    [{ ...cloud, specversion: '0.3' }, 'specversion "0.3" is not "1.0"'],
    [{ ...cloud, specversion: 1 }, 'specversion is not a string'],
    [{ ...cloud, type: 'order.created' }, 'type "order.created" does not end in a version like .v1'],
    [{ ...cloud, type: undefined }, 'type is missing'],
    [{ ...cloud, type: 'Order.v1' }, 'type "Order" is not lower-case letters, digits, "-" and "." like order.created'],
    [{ ...cloud, id: '' }, 'id is missing'],
    [{ ...cloud, source: undefined }, 'source is missing'],
    [{ ...cloud, data: undefined }, 'data is missing'],
    [
      { ...cloud, data: undefined, data_base64: 'AA==' },
      'data_base64 is not supported: the Events API carries JSON only',
    ],
    [
      { ...cloud, datacontenttype: 'text/xml', data: '<a/>' },
      'datacontenttype "text/xml" is not supported: the Events API carries JSON only',
    ],
    [
      { ...cloud, datacontenttype: 'json' },
      'datacontenttype "json" is not supported: the Events API carries JSON only',
    ],
    [
      { ...cloud, datacontenttype: 'text/plain; a=x/json' },
      'datacontenttype "text/plain; a=x/json" is not supported: the Events API carries JSON only',
    ],
    [{ ...cloud, datacontenttype: 5 }, 'datacontenttype is not a string'],
    [{ ...cloud, time: 'today' }, 'time "today" is not a time like 2019-04-11T08:30:00Z (RFC 3339, capitals)'],
  ])('%j is rejected: %s', (line, reason) => {
    expect(sent(line)).toBe(reason)
  })
})

describe('an event that is given in parts', () => {
  const names = { type: '--type', version: '--type-version', time: '--time', id: '--id', data: '--data' }
  const parts = { type: 'order.created', version: 'v1', time: '2019-04-11T08:30:00Z', id: '' }
  const encodeData = (data: string): EncodedEvent | Rejection =>
    encoder.encodeParts({ ...parts, data: Buffer.from(data) }, names)

  test('is the event that the same line would be', () => {
    expect(encodeData(' {"a":1}\n')).toEqual(encode(JSON.stringify({ ...api, data: { a: 1 } })))
  })

  test.each([
    ['{"a":1} 2', '--data has more text after its value, at byte 9'],
    ['{"a"}', '--data is not valid JSON: byte 5 is not a colon'],
    ['  ', '--data is missing'],
    [' [1e400]', '--data has a number that is too large for a 64-bit float, at byte 3'],
  ])('with the data %j is rejected: %s', (data, reason) => {
    expect(encodeData(data)).toMatchObject({ reason })
  })
})
