/** JSON as plain values. Unlike the Connector and the Registry, the API server does not keep the spelling of what it was sent. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !isJsonArray(value)
}

export function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** @throws SyntaxError */
export function parseJson(text: string): Json {
  return JSON.parse(text) as Json
}

/** The value at this path of names; undefined when there is none. */
export function at(value: Json | undefined, ...names: readonly string[]): Json | undefined {
  let found = value
  for (const name of names) found = isJsonObject(found) && Object.hasOwn(found, name) ? found[name] : undefined
  return found
}

/** The string at this path of names; '' when there is none. */
export function textAt(value: Json | undefined, ...names: readonly string[]): string {
  const found = at(value, ...names)
  return typeof found === 'string' ? found : ''
}

/** The object at this path of names; an empty one when there is none. */
export function objectAt(value: Json | undefined, ...names: readonly string[]): JsonObject {
  const found = at(value, ...names)
  return isJsonObject(found) ? found : {}
}

/** The array at this path of names; an empty one when there is none. */
export function arrayAt(value: Json | undefined, ...names: readonly string[]): readonly Json[] {
  const found = at(value, ...names)
  return isJsonArray(found) ? found : []
}

export function without(object: JsonObject, ...names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))
}
