/**
 * Reads JSON that came from outside, without trusting its shape. All code that parses an answer or a file uses these functions; the
 * caller decides what a missing member means.
 */

/** The JSON object that a text holds; undefined when the text is not JSON, or not an object. */
export function parseJsonObject(json: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(json)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

/** A member of any type; undefined when the object itself does not have it. */
export function valueOf(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? Reflect.get(object, name) : undefined
}

/** A member that is an object; an empty one when it is missing or of another type. */
export function member(object: object, name: string): object {
  const found = valueOf(object, name)
  return typeof found === 'object' && found !== null ? found : {}
}

/** A member that is a non-empty string; undefined for anything else: absent and "" mean the same on this wire (docs/contract.md §4). */
export function text(object: object, name: string): string | undefined {
  const found = valueOf(object, name)
  return typeof found === 'string' && found !== '' ? found : undefined
}

/** The objects in a member that is a list; items of other types are left out. */
export function objects(object: object, name: string): object[] {
  const list = valueOf(object, name)
  return Array.isArray(list) ? list.filter((item): item is object => typeof item === 'object' && item !== null) : []
}
