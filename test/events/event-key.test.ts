import { describe, expect, test } from 'vitest'
import { EventKey } from '../../src/events/event-key.js'
import { UsageError } from '../../src/errors.js'

describe('the key of an event', () => {
  const line = Buffer.from('{"data":{"orderId":"17","n":17,"a/b":{"~c":[true,null]},"":0},"event-type":"a"}')
  test.each([
    ['/data/orderId', '"17"'],
    ['/data/n', '17'],
    ['/data/a~1b/~0c/0', 'true'],
    ['/data/a~1b/~0c/1', 'null'],
    ['/data/', '0'],
    ['/event-type', '"a"'],
    ['/data/none', undefined],
    ['/data/orderId/length', undefined],
    ['/data/a~1b/~0c/length', undefined],
    ['/data/a~1b/~0c/00', undefined],
    ['/constructor', undefined],
  ])('at %s is %s', (pointer, key) => {
    expect(new EventKey(pointer).of(line)).toBe(key)
  })

  test('is missing in a line that is not JSON', () => {
    expect(new EventKey('/data').of(Buffer.from('{'))).toBe(undefined)
  })

  test('that is nested too deep to be written is the same for all such events', () => {
    const nested = (depth: number): Buffer => Buffer.from(`{"data":${'['.repeat(depth)}1${']'.repeat(depth)}}`)
    const key = new EventKey('/data')
    expect(key.of(nested(20_000))).toBe(key.of(nested(30_000)))
    expect(key.of(nested(20_000))).not.toBe(key.of(Buffer.from('{"data":""}')))
    expect(key.isUnused).toBe(false)
  })

  test('is unused once events have been looked at and none has it', () => {
    const key = new EventKey('/data/none')
    expect(key.isUnused).toBe(false)
    key.of(line)
    expect(key.isUnused).toBe(true)
    key.of(Buffer.from('{"data":{"none":null}}'))
    expect(key.isUnused).toBe(false)
  })

  test.each(['data', '/a~2', '/a~', 'a/b'])('cannot be named by %s', (pointer) => {
    expect(() => new EventKey(pointer)).toThrow(UsageError)
  })
})
