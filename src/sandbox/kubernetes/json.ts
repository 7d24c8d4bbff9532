/** JSON as plain values: unlike the Connector's and the Registry's, the API server's answers do not depend on how a text was spelled. */
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

/** Throws SyntaxError. */
export function parseJson(text: string): Json {
  return JSON.parse(text) as Json
}

/** What lies at the end of these names; undefined where there is none. */
export function at(value: Json | undefined, ...names: readonly string[]): Json | undefined {
  let found = value
  for (const name of names) found = isJsonObject(found) && Object.hasOwn(found, name) ? found[name] : undefined
  return found
}

/** The string at the end of these names, '' where there is none. */
export function textAt(value: Json | undefined, ...names: readonly string[]): string {
  const found = at(value, ...names)
  return typeof found === 'string' ? found : ''
}

/** The object at the end of these names, an empty one where there is none. */
export function objectAt(value: Json | undefined, ...names: readonly string[]): JsonObject {
  const found = at(value, ...names)
  return isJsonObject(found) ? found : {}
}

/** The array at the end of these names, an empty one where there is none. */
export function arrayAt(value: Json | undefined, ...names: readonly string[]): readonly Json[] {
  const found = at(value, ...names)
  return isJsonArray(found) ? found : []
}

export function without(object: JsonObject, ...names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))
}
