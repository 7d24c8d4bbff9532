import { marshal, marshalObject } from '../go/json.js'
import { errorAnswer, jsonAnswer, methodNotAllowed, type Answer, type Backend } from '../http/exchange.js'
import type { BusEvent } from './bus.js'

/** An event that the sandbox answered with 200. */
export interface AcceptedEvent extends Omit<BusEvent, 'data'> {
  /** JSON text. */
  readonly data: string
  readonly status: 'published' | 'ignored'
}

/** How much is kept. Older events are dropped, and counted. */
export interface EventListLimits {
  readonly maxEvents: number
  /** Of the events as JSON. */
  readonly maxBytes: number
}

export const EVENT_LIST_LIMITS: EventListLimits = { maxEvents: 100_000, maxBytes: 64 * 1024 * 1024 }

/** The accepted events in order of arrival, for the assertions of tests. */
export interface EventList {
  readonly add: (event: AcceptedEvent) => void
  /** Answers `GET` with the events, and `DELETE` by emptying the list. */
  readonly api: Backend
}

export const EVENT_LIST_PATH = '/sandbox/events'

export function createEventList({ maxEvents, maxBytes }: EventListLimits = EVENT_LIST_LIMITS): EventList {
  /** JSON texts. */
  let events: string[] = []
  /** The index of the oldest event that is kept. Those before it are empty, and are removed many at once. */
  let first = 0
  let keptBytes = 0
  let accepted = 0

  const dropOldest = (): void => {
    keptBytes -= Buffer.byteLength(events[first] ?? '')
    events[first++] = ''
    if (first < maxEvents) return
    events = events.slice(first)
    first = 0
  }
  const clear = (): void => {
    events = []
    first = keptBytes = accepted = 0
  }
  const list = (query: URLSearchParams): Answer => {
    const unknown = [...query.keys()].find((name) => !FILTERS.has(name))
    if (unknown !== undefined) return errorAnswer(400, `Unknown parameter ${unknown}: expected app or type.`)
    const texts = events.slice(first)
    const shown = query.size === 0 ? texts : texts.filter((text) => matches(JSON.parse(text), query))
    const counts = `"accepted":${accepted},"kept":${texts.length}`
    return jsonAnswer(200, `{${counts},"events":[${shown.join(',')}]}`)
  }
  return {
    add(event) {
      // A string of the event is a part of the request's text, and would keep all of it in memory. The copy does not.
      const bytes = Buffer.from(textOf(event))
      events.push(bytes.toString())
      keptBytes += bytes.length
      accepted++
      while (events.length - first > maxEvents || keptBytes > maxBytes) dropOldest()
    },
    api({ method, query }) {
      if (method === 'GET') return list(query)
      if (method !== 'DELETE') return methodNotAllowed
      clear()
      return { status: 204, headers: {}, body: '' }
    },
  }
}

/** The parameters of a query, and the members of an event that they are compared with. */
const FILTERS = new Map([
  ['app', 'app'],
  ['type', 'event-type'],
])

/** Whether each parameter names the event's value; of a repeated parameter, one must. */
function matches(event: unknown, query: URLSearchParams): boolean {
  return [...FILTERS].every(([parameter, member]) => {
    const wanted = query.getAll(parameter)
    const value: unknown = typeof event === 'object' && event !== null ? Reflect.get(event, member) : undefined
    return wanted.length === 0 || (typeof value === 'string' && wanted.includes(value))
  })
}

function textOf({ app, id, type, version, time, data, status }: AcceptedEvent): string {
  return marshalObject([
    ['app', marshal(app)],
    ['event-id', marshal(id)],
    ['event-type', marshal(type)],
    ['event-type-version', marshal(version)],
    ['event-time', marshal(time)],
    ['data', data],
    ['status', marshal(status)],
  ])
}
