import { isUuid } from './event-id.js'
import { quote, rejection, type Rejection } from './rejection.js'

/** The fields of an event. The service takes '' for a missing one (docs/contract.md §10). */
export interface EventFields {
  readonly type: string
  readonly version: string
  readonly time: string
  /** A UUID, or '' if the event has none. */
  readonly id: string
  /** One JSON value; empty if the event has none. */
  readonly data: Uint8Array
}

/** How the input spells the fields, for the reasons of rejections. */
export type FieldNames = Readonly<Record<keyof EventFields, string>>

const maxTypeCharacters = 253
const maxVersionCharacters = 4

/** The first check of the Event service that an event fails, in the service's order; undefined if it passes all (docs/contract.md §10). */
export function checkForService(fields: EventFields, names: FieldNames): Rejection | undefined {
  const { type, version, time, id, data } = fields
  if (type === '') return rejection('missing', names.type, 'is missing')
  if (version === '') return rejection('missing', names.version, 'is missing')
  if (!/[a-z0-9]/i.test(version)) return rejection('invalid', names.version, `${quote(version)} has no letter or digit`)
  if (time === '') return rejection('missing', names.time, 'is missing')
  if (!isRfc3339(time)) {
    return rejection(
      'invalid',
      names.time,
      `${quote(time)} is not a time like 2019-04-11T08:30:00Z (RFC 3339, capitals)`,
    )
  }
  if (id !== '' && !isUuid(id)) return rejection('invalid', names.id, `${quote(id)} is not a UUID`)
  if (isMissing(data)) {
    const value = Buffer.from(data).toString()
    return rejection(
      'missing',
      names.data,
      value === '' ? 'is missing' : `is ${value}, which the service counts as missing`,
    )
  }
  return undefined
}

/** The first check of the bus behind the service that an event fails, in the bus's order (docs/contract.md §10). */
export function checkForBus({ type, version }: EventFields, names: FieldNames): Rejection | undefined {
  if (type.length > maxTypeCharacters) {
    return rejection('too-long', names.type, `has ${type.length} characters; at most ${maxTypeCharacters} are allowed`)
  }
  if (!isDotted(type)) {
    return rejection(
      'invalid',
      names.type,
      `${quote(type)} is not lower-case letters, digits, "-" and "." like order.created`,
    )
  }
  if (version.length > maxVersionCharacters) {
    return rejection('too-long', names.version, `${quote(version)} has more than ${maxVersionCharacters} characters`)
  }
  if (!/^[a-z0-9]+$/.test(version)) {
    return rejection('invalid', names.version, `${quote(version)} is not lower-case letters and digits like v1`)
  }
  return undefined
}

/** Whether the bus takes events from an App of this name: it is sent as their source, and must look like an event type. */
export function isSourceName(app: string): boolean {
  return app.length <= maxTypeCharacters && isDotted(app)
}

/** `null` and `""` count as missing. */
function isMissing(data: Uint8Array): boolean {
  return data.length === 0 || (data.length === 2 && data[0] === 0x22) || (data.length === 4 && data[0] === 0x6e)
}

/**
 * Whether a text matches `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`. The pattern itself has nested repeats, and
 * would take quadratic time.
 */
function isDotted(text: string): boolean {
  // A hyphen may be neither the first nor the last of its part, and a part may not be empty.
  let afterSeparator = true
  let afterHyphen = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const isAlphanumeric = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39)
    if (!isAlphanumeric) {
      if (afterSeparator || (code === 0x2e && afterHyphen) || (code !== 0x2e && code !== 0x2d)) return false
    }
    afterSeparator = code === 0x2e
    afterHyphen = code === 0x2d
  }
  return !afterSeparator && !afterHyphen
}

const timePattern = /^\d{4}-\d{2}-\d{2}T\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:\d{2})$/

/**
 * Whether the service takes a text as a time. It reads RFC 3339 as Go does: capitals, no leap second; and an hour of one digit and a
 * fraction after a comma, which RFC 3339 does not have.
 */
function isRfc3339(text: string): boolean {
  if (!timePattern.test(text)) return false
  const minuteAt = text.indexOf(':') + 1
  const hour = Number(text.slice(11, minuteAt - 1))
  if (hour > 23 || twoDigits(text, minuteAt) > 59 || twoDigits(text, minuteAt + 3) > 59) return false
  if (!text.endsWith('Z')) {
    if (twoDigits(text, text.length - 5) > 24 || twoDigits(text, text.length - 2) > 59) return false
  }
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2)
  const day = twoDigits(text, 8)
  return day >= 1 && day <= daysIn(year, twoDigits(text, 5))
}

function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48
}

/** 0 for a month that does not exist. */
function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  if (month < 1 || month > 12) return 0
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}
