import { methodNotAllowed, type Answer, type Request } from '../http/exchange.js'
import { compact, decodeFirst, JsonSyntaxError, marshal, type JsonNode } from '../go/json.js'
import { goAny, goString, pointerOf, textOf, typeError, type GoType } from '../go/struct.js'

/** Bytes that a body may have: as it comes, and again as the event service re-encodes it for the bus (contract §10). */
const SIZE_LIMIT = 65536

const PUBLISH_REQUEST: GoType = {
  kind: 'struct',
  name: 'api.PublishRequest',
  fields: {
    'event-type': goString,
    'event-type-version': goString,
    'event-id': goString,
    'event-time': goString,
    data: goAny,
  },
}

type Field = 'source-id' | 'event-type' | 'event-type-version' | 'event-id' | 'event-time' | 'data'

/** Answers a request below `/<app>/v1/events`, whatever follows. */
export type Events = (app: string, request: Request) => Answer

/**
 * The Event service and the bus behind it (contract §10). Nobody can subscribe in the sandbox; it answers as if somebody did, since that
 * is what a client wants to see, but for event types that end in `ignored`: those nobody wants (recorded with `order.ignored`).
 */
export function createEvents(newId: () => string): Events {
  return (app, request) => {
    if (request.method !== 'POST') return methodNotAllowed
    const json = readBody(request.body)
    if ('status' in json) return json
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
    const refusal = busRefusal({ app, type, version, id, time, data })
    return refusal ?? published(id === '' ? newId() : id, type)
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function eventAnswer(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: marshal(body) + '\n' }
}

function badSyntax(moreInfo: string): Answer {
  return eventAnswer(400, { status: 400, type: 'bad_payload_syntax', message: 'Bad payload syntax', moreInfo })
}

const tooLarge = { status: 413, type: 'request_body_too_large', message: 'Request body too large' }

function violation(message: string, field: Field, type: string, moreInfo?: string): Answer {
  const details = [{ field, type, message, ...(moreInfo !== undefined && { moreInfo }) }]
  return eventAnswer(400, { status: 400, type: 'validation_violation', message, details })
}

const missingField = (field: Field): Answer => violation('Missing field', field, 'missing_field')
const invalidField = (field: Field): Answer => violation('Invalid field', field, 'invalid_field')

/** Only the first JSON value counts; what follows it is not even read. */
function readBody(body: Buffer): JsonNode | Answer {
  if (body.length === 0) return badSyntax('Bad payload syntax')
  try {
    const json = decodeFirst(body, SIZE_LIMIT)
    if (json === 'too large') return eventAnswer(413, { ...tooLarge, moreInfo: 'http: request body too large' })
    const error = typeError(json, PUBLISH_REQUEST)
    return error === undefined ? json : badSyntax(error)
  } catch (error) {
    if (error instanceof JsonSyntaxError) return badSyntax(error.message)
    throw error
  }
}

/** Go's time.RFC3339: capitals only, seconds to 59, a fraction after a dot or a comma. */
function isRfc3339(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,]\d+)?(?:Z|[+-](\d{2}):(\d{2}))$/.exec(text)
  if (match === null) return false
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zoneHour = 0, zoneMinute = 0] = match
    .slice(1)
    .map((part) => Number(part || 0))
  const date = new Date(Date.UTC(2000, month - 1, day))
  date.setUTCFullYear(year, month - 1, day)
  const dayExists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return dayExists && hour < 24 && minute < 60 && second < 60 && zoneHour <= 24 && zoneMinute < 60
}

const DOTTED_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const BUS_MESSAGE = 'We need all your entries to be correct to keep you moving.'

interface BusEvent {
  readonly app: string
  readonly type: string
  readonly version: string
  readonly id: string
  readonly time: string
  readonly data: JsonNode
}

/** What the bus finds wrong: first the size, then each field by its length and its pattern. */
function busRefusal(event: BusEvent): Answer | undefined {
  if (Buffer.byteLength(reEncode(event)) > SIZE_LIMIT) return eventAnswer(413, tooLarge)
  const checks: readonly (readonly [Field, string, number, RegExp])[] = [
    ['source-id', event.app, 253, DOTTED_NAME],
    ['event-type', event.type, 253, DOTTED_NAME],
    ['event-type-version', event.version, 4, /^[a-z0-9]+$/],
  ]
  for (const [field, value, limit, pattern] of checks) {
    if (value.length > limit) {
      return violation(BUS_MESSAGE, field, 'invalid_field_length', `Field length must be at max: ${limit}`)
    }
    if (!pattern.test(value)) return violation(BUS_MESSAGE, field, 'invalid_field')
  }
  return undefined
}

/** The event as it goes to the bus; its data are decoded and encoded anew, so numbers and escapes may change their length. */
function reEncode({ app, type, version, id, time, data }: BusEvent): string {
  const decoded: unknown = JSON.parse(compact(data))
  return marshal({
    'source-id': app,
    'event-type': type,
    'event-type-version': version,
    ...(id !== '' && { 'event-id': id }),
    'event-time': time,
    data: decoded,
  })
}

function published(id: string, type: string): Answer {
  const ignored = /(^|\.)ignored$/.test(type)
  return eventAnswer(200, {
    'event-id': id,
    status: ignored ? 'ignored' : 'published',
    reason: ignored
      ? 'Event was ignored as there are no subscriptions or consumers configured for this event'
      : 'Message successfully published to the channel',
  })
}
