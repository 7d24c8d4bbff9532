import { describe, expect, test } from 'vitest'
import { parseKeyPointer } from '../../src/events/event-key.js'
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
    expect(parseKeyPointer(pointer)(line)).toBe(key)
  })

  test('is missing in a line that is not JSON', () => {
    expect(parseKeyPointer('/data')(Buffer.from('{'))).toBe(undefined)
  })

  test.each(['data', '/a~2', '/a~', 'a/b'])('cannot be named by %s', (pointer) => {
    expect(() => parseKeyPointer(pointer)).toThrow(UsageError)
  })
})
