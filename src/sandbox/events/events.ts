import { compact, decodeFirst, JsonSyntaxError, type JsonNode, withoutLoneSurrogates } from '../go/json.js'
import { goInterface, goString, pointerOf, textOf, typeError, type GoType } from '../go/struct.js'
import { methodNotAllowed, type Answer, type Request } from '../http/exchange.js'
import { busRefusal, MAX_EVENT_BYTES, type BusEvent } from './bus.js'
import type { AcceptedEvent } from './event-list.js'
import { eventAnswer, invalidField, missingField, tooLarge } from './event-answers.js'
import { isRfc3339 } from './rfc3339.js'

/** An event type and version to which something in the cluster subscribes. */
export interface Subscription {
  readonly type: string
  readonly version: string
}

/** Answers a request for `/<app>/v1/events` and any longer path. */
export type Events = (app: string, request: Request) => Answer

const PUBLISH_REQUEST: GoType = {
  kind: 'struct',
  name: 'api.PublishRequest',
  fields: {
    'event-type': goString,
    'event-type-version': goString,
    'event-id': goString,
    'event-time': goString,
    data: goInterface,
  },
}

/**
 * The Event service and the bus behind it (docs/contract.md §10).
 *
 * @param subscriptions the events that count as published, the others being ignored; undefined: all are published
 * @param onAccepted is called with each event before its answer is sent
 */
export function createEvents(
  newId: () => string,
  subscriptions?: readonly Subscription[],
  onAccepted: (event: AcceptedEvent) => void = () => undefined,
): Events {
  const isSubscribed = (event: BusEvent): boolean =>
    subscriptions === undefined ||
    subscriptions.some(({ type, version }) => type === event.type && version === event.version)
  return (app, request) => {
    if (request.method !== 'POST') return methodNotAllowed
    const json = readBody(request.body)
    if ('status' in json) return json
    const event = readEvent(app, json)
    if ('status' in event) return event
    const refusal = busRefusal(event, request.body.length)
    if (refusal !== undefined) return refusal
    const id = event.id === '' ? newId() : event.id
    const status = isSubscribed(event) ? 'published' : 'ignored'
    onAccepted({ ...event, id, status, data: withoutLoneSurrogates(compact(event.data)) })
    return eventAnswer(200, { 'event-id': id, status, reason: REASONS[status] })
  }
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Reads the first JSON value of a body. The service never reads the rest. */
function readBody(body: Buffer): JsonNode | Answer {
  if (body.length === 0) return badSyntax('Bad payload syntax')
  try {
    const json = decodeFirst(body, MAX_EVENT_BYTES)
    if (json === 'too large') return tooLarge('http: request body too large')
    const error = typeError(json, PUBLISH_REQUEST)
    return error === undefined ? json : badSyntax(error)
  } catch (error) {
    if (error instanceof JsonSyntaxError) return badSyntax(error.message)
    throw error
  }
}

/** The event in a body, or the answer to the first check of the service that fails. */
function readEvent(app: string, json: JsonNode): BusEvent | Answer {
  const type = textOf(json, 'event-type')
  const version = textOf(json, 'event-type-version')
  const id = textOf(json, 'event-id')
  const time = textOf(json, 'event-time')
  const data = pointerOf(json, 'data')
  if (type === '') return missingField('event-type')
  if (version === '') return missingField('event-type-version')
  if (!/[a-zA-Z0-9]/.test(version)) return invalidField('event-type-version')
  if (time === '') return missingField('event-time')
  if (!isRfc3339(time)) return invalidField('event-time')
  if (id !== '' && !UUID.test(id)) return invalidField('event-id')
  if (data === undefined || (data.kind === 'string' && data.value === '')) return missingField('data')
  return { app, type, version, id, time, data }
}

function badSyntax(moreInfo: string): Answer {
  return eventAnswer(400, { status: 400, type: 'bad_payload_syntax', message: 'Bad payload syntax', moreInfo })
}

const REASONS = {
  published: 'Message successfully published to the channel',
  ignored: 'Event was ignored as there are no subscriptions or consumers configured for this event',
} as const
