export type Path = readonly (string | number)[]

/** How two JSON values differ at one place. `missing` is missing in what is registered. */
export interface JsonDifference {
  readonly path: Path
  readonly kind: 'missing' | 'different' | 'unexpected'
}

/** No document that a person wrote is nested more deeply; a hostile one must not exhaust the stack. */
const maxDepth = 500

/** The places at which two JSON values differ, the deepest that can be named. The order of keys does not matter. */
export function jsonDifferences(wanted: unknown, stored: unknown, path: Path = []): JsonDifference[] {
  if (path.length > maxDepth) return [{ path, kind: 'different' }]
  if (Array.isArray(wanted) && Array.isArray(stored)) {
    if (wanted.length !== stored.length) return [{ path, kind: 'different' }]
    return wanted.flatMap((item: unknown, index) => jsonDifferences(item, stored[index], [...path, index]))
  }
  const [wantedFields, storedFields] = [fieldsOf(wanted), fieldsOf(stored)]
  if (wantedFields === undefined || storedFields === undefined)
    return wanted === stored ? [] : [{ path, kind: 'different' }]
  const found: JsonDifference[] = []
  for (const [name, value] of wantedFields) {
    if (storedFields.has(name)) found.push(...jsonDifferences(value, storedFields.get(name), [...path, name]))
    else found.push({ path: [...path, name], kind: 'missing' })
  }
  for (const name of storedFields.keys()) {
    if (!wantedFields.has(name)) found.push({ path: [...path, name], kind: 'unexpected' })
  }
  return found
}

/** The fields of a JSON object; undefined for any other value. */
export function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return new Map<string, unknown>(Object.entries(value))
}
