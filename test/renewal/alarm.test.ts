import { expect, test } from 'vitest'
import { TerminatedError } from '../../src/errors.js'
import { Alarm } from '../../src/renewal/alarm.js'

const { signal } = new AbortController()

test('a pause ends when its time is over', async () => {
  expect(await new Alarm().wait(5, signal)).toBe('elapsed')
})

test('a ring ends the pause at once, and a ring before it ends the next one, once', async () => {
  const alarm = new Alarm()
  const pause = alarm.wait(1_000_000, signal)
  alarm.ring()
  expect(await pause).toBe('rung')
  alarm.ring()
  alarm.ring()
  expect(await alarm.wait(1_000_000, signal)).toBe('rung')
  expect(await alarm.wait(5, signal)).toBe('elapsed')
})

test('an aborted signal ends the pause with its reason, also one that was aborted before', async () => {
  const controller = new AbortController()
  const pause = new Alarm().wait(1_000_000, controller.signal)
  controller.abort(new TerminatedError('asked to end'))
  await expect(pause).rejects.toThrow('asked to end')
  await expect(new Alarm().wait(1_000_000, controller.signal)).rejects.toThrow('asked to end')
})
