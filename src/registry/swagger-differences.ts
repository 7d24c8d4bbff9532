import { fieldsOf, type JsonDifference, jsonDifferences, type Path } from './json-differences.js'

/** Whether the Registry may rewrite a document: Swagger 2.0, its key in any case (docs/contract.md §9). */
export function isSwagger(document: unknown): boolean {
  const fields = fieldsOf(document) ?? new Map<string, unknown>()
  return [...fields].some(([name, value]) => name.toLowerCase() === 'swagger' && typeof value === 'string')
}

/** What the Registry replaces by its own values. */
const replaced = new Set(['host', 'basepath', 'schemes'])
/** The fields of the document that stay, when they are not empty. */
const keptFields = new Set([
  'consumes',
  'definitions',
  'externaldocs',
  'info',
  'parameters',
  'paths',
  'produces',
  'responses',
  'security',
  'securitydefinitions',
  'tags',
])
/** Of these, the ones that are maps: every entry stays. */
const maps = new Set(['definitions', 'parameters', 'responses', 'securitydefinitions'])
const methods = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch'])

/**
 * The differences between a Swagger 2.0 document and what the Registry has made of it: it reads the document into a structure and writes
 * that anew (docs/contract.md §9). Deep inside the document, a field that is missing counts as dropped by that; the fields of the
 * document, the paths, operations and definitions do not.
 */
export function swaggerDifferences(wanted: unknown, stored: unknown): JsonDifference[] {
  // A document that does not fit the structure stays as it is.
  if (jsonDifferences(wanted, stored).length === 0) return []
  return compare(wanted, stored, [])
}

const maxDepth = 500

function compare(wanted: unknown, stored: unknown, path: Path): JsonDifference[] {
  if (path.length > maxDepth) return [{ path, kind: 'different' }]
  if (isEmpty(wanted) && isEmpty(stored)) return []
  // A list of one text is written as the text.
  if (Array.isArray(wanted) && wanted.length === 1 && wanted[0] === stored) return []
  if (Array.isArray(wanted) && Array.isArray(stored)) {
    if (wanted.length !== stored.length) return [{ path, kind: 'different' }]
    return wanted.flatMap((item: unknown, index) => compare(item, stored[index], [...path, index]))
  }
  const [wantedFields, storedFields] = [fieldsOf(wanted), fieldsOf(stored)]
  if (wantedFields === undefined || storedFields === undefined)
    return wanted === stored ? [] : [{ path, kind: 'different' }]
  return compareFields(wantedFields, storedFields, path)
}

function compareFields(
  wanted: ReadonlyMap<string, unknown>,
  stored: ReadonlyMap<string, unknown>,
  path: Path,
): JsonDifference[] {
  const isTop = path.length === 0
  const storedKeys = keysByLowerCase(stored)
  const found: JsonDifference[] = []
  for (const [name, value] of wanted) {
    if (isTop && replaced.has(name.toLowerCase())) continue
    const key = stored.has(name) ? name : storedKeys.get(name.toLowerCase())
    if (key !== undefined) found.push(...compare(value, stored.get(key), [...path, name]))
    else if (!isEmpty(value) && isKept(name, path)) found.push({ path: [...path, name], kind: 'missing' })
  }
  const wantedKeys = keysByLowerCase(wanted)
  for (const [name, value] of stored) {
    if ((isTop && replaced.has(name.toLowerCase())) || isEmpty(value)) continue
    if (!wantedKeys.has(name.toLowerCase())) found.push({ path: [...path, name], kind: 'unexpected' })
  }
  return found
}

/** Whether a field that is not empty stays where it is. */
function isKept(name: string, path: Path): boolean {
  const [top, second] = path
  const key = name.toLowerCase()
  if (top === undefined) return keptFields.has(key) || key.startsWith('x-')
  const part = String(top).toLowerCase()
  if (part === 'paths' && second === undefined) return name.startsWith('/') || key.startsWith('x-')
  if (part === 'paths' && path.length === 2) return methods.has(key)
  return second === undefined && maps.has(part)
}

/** Go matches the keys of a structure in any case. */
function keysByLowerCase(fields: ReadonlyMap<string, unknown>): ReadonlyMap<string, string> {
  return new Map([...fields.keys()].map((name) => [name.toLowerCase(), name]))
}

/** Whether Go leaves a value out, or writes it in the place of an absent one. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
