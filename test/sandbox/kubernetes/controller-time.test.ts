/** When the controller of TokenRequests acts, by a clock that only the test moves. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startController, type ControllerOptions } from '../../../src/sandbox/kubernetes/controller.js'
import { textAt } from '../../../src/sandbox/kubernetes/json.js'
import { born, type KubernetesObject } from '../../../src/sandbox/kubernetes/object.js'
import { openObjectStore, type ObjectStore } from '../../../src/sandbox/kubernetes/object-store.js'
import { tokenRequests } from '../../../src/sandbox/kubernetes/resources.js'
import type { State } from '../../../src/sandbox/state.js'

const state: State = {
  read: () => undefined,
  write: () => undefined,
  publish: () => '',
  close: () => undefined,
}

let objects: ObjectStore
let stop: () => void
beforeEach(() => {
  vi.useFakeTimers()
  objects = openObjectStore(state, new Date())
})
afterEach(() => {
  stop()
  vi.useRealTimers()
})

function start(options: ControllerOptions): void {
  stop = startController({
    objects,
    issue: () => ({ token: 't', url: 'u' }),
    tokenLifetimeSeconds: 300,
    now: () => new Date(),
    options,
  })
}

const create = (): KubernetesObject => objects.put(born(tokenRequests, { name: 'x', namespace: 'default' }, new Date()))
const current = (): KubernetesObject | undefined => objects.get(tokenRequests, 'default', 'x')
const currentState = (): string => textAt(current(), 'status', 'state')
const label = (value: string): void => {
  const object = current()
  if (object !== undefined) objects.put({ ...object, metadata: { ...object.metadata, labels: { value } } })
}

test('an error is tried again a second later', () => {
  start({ failures: 2 })
  create()
  vi.advanceTimersByTime(0)
  expect(currentState()).toBe('Error')
  vi.advanceTimersByTime(1999)
  expect(currentState()).toBe('Error')
  vi.advanceTimersByTime(1)
  expect(currentState()).toBe('OK')
})

test('an error is tried again at once when the object changes', () => {
  start({ failures: 1 })
  create()
  vi.advanceTimersByTime(0)
  expect(currentState()).toBe('Error')
  label('a')
  vi.advanceTimersByTime(0)
  expect(currentState()).toBe('OK')
})

test('a slow controller takes its time, and no more of it when the object changes', () => {
  start({ delaySeconds: 1.5 })
  create()
  for (const value of ['a', 'b', 'c']) {
    vi.advanceTimersByTime(450)
    label(value)
  }
  vi.advanceTimersByTime(149)
  expect(currentState()).toBe('')
  vi.advanceTimersByTime(1)
  expect(currentState()).toBe('OK')
})

test('a TokenRequest is deleted when it expires, to the second', () => {
  start({})
  create()
  vi.advanceTimersByTime(298_999)
  expect(currentState()).toBe('OK')
  vi.advanceTimersByTime(1001)
  expect(current()).toBeUndefined()
})
