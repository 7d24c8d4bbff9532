import { type Content, RawJson, SecretReference } from './content.js'

/** The value as an object with fields; undefined for anything else. */
export function objectIn(value: Content | undefined): Readonly<Record<string, Content>> | undefined {
  return isObject(value) ? value : undefined
}

function isObject(value: Content | undefined): value is Readonly<Record<string, Content>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof RawJson) &&
    !(value instanceof SecretReference)
  )
}

/** Whether the value is a list. */
export function isList(value: Content): value is readonly Content[] {
  return Array.isArray(value)
}
