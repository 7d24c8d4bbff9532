import { expect, test } from 'vitest'
import { BoundedQueue } from '../../src/live-identity/bounded-queue.js'

test('a queue gives its items in their order, however often its places were used', () => {
  const queue = new BoundedQueue<number>(3)
  const taken: (number | undefined)[] = []
  for (let number = 0; number < 10; number++) {
    queue.put(number)
    if (number >= 2) taken.push(queue.take())
  }
  expect(queue.isEmpty).toBe(false)
  taken.push(queue.take(), queue.take())
  expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect([queue.isEmpty, queue.take()]).toEqual([true, undefined])
})

test('a queue takes as many items as it has places, and gives a place free again', () => {
  const queue = new BoundedQueue<string>(2)
  queue.put('a')
  queue.put('b')
  expect(() => {
    queue.put('c')
  }).toThrow('the queue is full')
  expect(queue.take()).toBe('a')
  queue.put('c')
  expect([queue.take(), queue.take(), queue.take()]).toEqual(['b', 'c', undefined])
})
