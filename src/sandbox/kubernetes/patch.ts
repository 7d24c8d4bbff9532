import { at, isJsonArray, isJsonObject, without, type Json, type JsonObject } from './json.js'
import { unsupportedMediaType } from './refusal.js'
import type { Resource } from './resources.js'

/** RFC 7396, for an object. */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  return merged(target, patch, mergePatch, (_name, _before, value) => value)
}

/** The lists whose members are merged one by one, and the field that identifies a member. Other lists are replaced. */
const LIST_KEYS = new Map([
  ['ports', 'port'],
  ['ownerReferences', 'uid'],
])

/** The part of the strategic merge patch that the served kinds need: lists merged by key, `$patch`, `$retainKeys`. */
export function strategicMergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  if (patch['$patch'] === 'replace') return without(patch, '$patch')
  const retained = at(patch, '$retainKeys')
  const kept = isJsonArray(retained)
    ? Object.fromEntries(Object.entries(target).filter(([name]) => retained.includes(name)))
    : target
  // The other directives concern the order of lists, which does not matter for these kinds.
  const changes = Object.fromEntries(Object.entries(patch).filter(([name]) => !name.startsWith('$')))
  return merged(kept, changes, strategicMergePatch, (name, before, value) => {
    const key = LIST_KEYS.get(name)
    return key === undefined || !isJsonArray(value) ? value : mergedList(before, value, key)
  })
}

/** Removes fields that are null in the patch, merges objects by `merge`, and gets other values from `take`. */
function merged(
  target: JsonObject,
  patch: JsonObject,
  merge: (target: JsonObject, patch: JsonObject) => JsonObject,
  take: (name: string, before: Json | undefined, value: Json) => Json,
): JsonObject {
  const result = new Map(Object.entries(target))
  for (const [name, value] of Object.entries(patch)) {
    const before = result.get(name)
    if (value === null) result.delete(name)
    else if (isJsonObject(value)) result.set(name, merge(isJsonObject(before) ? before : {}, value))
    else result.set(name, take(name, before, value))
  }
  return Object.fromEntries(result)
}

/** Members are found by their keys, of which several may be equal: a patch changes the first, and deletes all. */
function mergedList(before: Json | undefined, patches: readonly Json[], key: string): readonly Json[] {
  const list: (Json | undefined)[] = isJsonArray(before) ? [...before] : []
  const places = new Map<Json | undefined, number[]>()
  const addPlace = (member: Json | undefined, place: number): void => {
    const value = at(member, key)
    const known = places.get(value)
    if (known === undefined) places.set(value, [place])
    else known.push(place)
  }
  list.forEach(addPlace)
  for (const patch of patches) {
    if (!isJsonObject(patch)) return patches
    const found = places.get(at(patch, key)) ?? []
    const [first] = found
    const member = first === undefined ? undefined : list[first]
    if (patch['$patch'] === 'delete') {
      for (const place of found) list[place] = undefined
      places.delete(at(patch, key))
    } else if (first !== undefined && isJsonObject(member)) list[first] = strategicMergePatch(member, patch)
    else addPlace(patch, list.push(patch) - 1)
  }
  return list.filter((member) => member !== undefined)
}

export type Patch = (target: JsonObject, patch: JsonObject) => JsonObject

/** The function that applies a patch of this media type. @throws Refusal for an unknown type */
export function patchOf(resource: Resource, type: string): Patch {
  if (type === 'application/merge-patch+json') return mergePatch
  if (type === 'application/strategic-merge-patch+json' && resource.custom !== true) return strategicMergePatch
  if (type === 'application/apply-patch+yaml')
    throw unsupportedMediaType(
      'the sandbox does not support server-side apply: use client-side apply (kubectl apply without --server-side)',
    )
  const types = [
    'application/merge-patch+json',
    ...(resource.custom === true ? [] : ['application/strategic-merge-patch+json']),
  ]
  throw unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`,
  )
}
