import { describe, expect, test } from 'vitest'
import { type EncodedEvent, EventEncoder } from '../../src/events/event-encoder.js'
import type { Rejection } from '../../src/events/rejection.js'

const now = new Date('2026-01-02T03:04:05.006Z')
const encoder = new EventEncoder({ source: 'demo', seed: 'seed', now: () => now })
const encode = (line: string, offset = 0): EncodedEvent | Rejection => encoder.encodeLine(Buffer.from(line), offset)

const id = '31109198-4d69-4ae0-972d-76117f3748c8'
const api = { 'event-type': 'order.created', 'event-type-version': 'v1', 'event-time': '2019-04-11T08:30:00Z' }

describe('a line in the shape of the Events API', () => {
  test('is encoded with its id and with its data as they were written', () => {
    const data = '{"n": 12345678901234567890.10, "é": "\\u003c"}'
    const event = encode(`${JSON.stringify({ ...api, 'event-id': id }).slice(0, -1)}, "data" : ${data} }`)
    expect(event.kind === 'event' && event.body.toString()).toBe(
      `{"event-type":"order.created","event-type-version":"v1","event-id":"${id}","event-time":"2019-04-11T08:30:00Z","data":${data}}`,
    )
    expect(event).toMatchObject({ id, type: 'order.created', version: 'v1' })
  })
})
