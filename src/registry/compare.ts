import { valueOf } from '../json.js'
import { type Content, RawJson, SecretReference } from './content.js'
import { isList, objectIn } from './content-fields.js'
import type { DesiredService } from './desired-service.js'
import { fieldsOf, type JsonDifference, jsonDifferences, type Path } from './json-differences.js'
import { fetchedFrom } from './parts.js'
import type { Place } from './place.js'
import { listedDifferences } from './listed-differences.js'
import type { RegisteredService } from './registered-service.js'
import { isSwagger, swaggerDifferences } from './swagger-differences.js'

/** A field in which a registered service is not what its file says. `missing` is missing in the Registry. */
export interface Difference extends JsonDifference {
  /** In the file; of a field that the file does not have, the nearest one around it. */
  readonly place: Place
}

/** What the Registry shows in the place of a secret (docs/contract.md §9). */
const stars = '********'
/** Fields of `api` that the Registry before 1.2 or 1.3 drops, and that later ones show under one another's names (docs/contract.md §9). */
const laterFields = [
  'headers',
  'queryParameters',
  'requestParameters',
  'specificationCredentials',
  'specificationRequestParameters',
]

/**
 * Compares a service file with all that the Registry shows of the service, and allows for what the Registry does not show or rewrites:
 * secrets, shortDescription, the certificate that it generates, a specification that it fetched, Swagger 2.0. No difference holds a value.
 */
export function compareStored(service: DesiredService, registered: RegisteredService): readonly Difference[] {
  const { api, events, documentation } = service.content
  const { details } = registered
  const found = [
    ...listedDifferences(service, registered).map((field) => listedDifference(field, service, registered)),
    ...member('api', api, valueOf(details, 'api'), (wanted, stored) => apiDifferences(wanted, stored, service)),
    ...member('events', events, valueOf(details, 'events'), (wanted, stored) =>
      specDifferences(wanted.get('spec'), stored.get('spec'), ['events', 'spec']),
    ),
    ...member('documentation', documentation, valueOf(details, 'documentation'), documentationDifferences),
  ]
  return found.map((difference) => ({ ...difference, place: service.placeOf(difference.path) }))
}

/** `labels.a.b` names one label: `a.b`. */
function listedDifference(field: string, service: DesiredService, registered: RegisteredService): JsonDifference {
  const label = field.startsWith('labels.') ? field.slice('labels.'.length) : undefined
  if (label === undefined) return { path: [field], kind: 'different' }
  const path = ['labels', label]
  if (!Object.hasOwn(service.labels, label)) return { path, kind: 'unexpected' }
  return { path, kind: Object.hasOwn(registered.labels, label) ? 'different' : 'missing' }
}

type Fields = ReadonlyMap<string, unknown>

function member(
  name: string,
  wanted: Content | undefined,
  stored: unknown,
  compare: (wanted: Fields, stored: Fields) => readonly JsonDifference[],
): readonly JsonDifference[] {
  const [wantedFields, storedFields] = [fieldsOf(plain(wanted)), fieldsOf(stored)]
  if (wantedFields === undefined) return storedFields === undefined ? [] : [{ path: [name], kind: 'unexpected' }]
  if (storedFields === undefined) return [{ path: [name], kind: 'missing' }]
  return compare(wantedFields, storedFields)
}

/** JSON as it is sent, with stars in the place of secrets, and specs left as their text. */
function plain(value: Content | undefined): unknown {
  if (value instanceof SecretReference) return stars
  if (value instanceof RawJson || value === undefined) return value
  if (isList(value)) return value.map(plain)
  const fields = objectIn(value)
  if (fields === undefined) return value
  return Object.fromEntries(Object.entries(fields).map(([name, item]) => [name, plain(item)]))
}

function apiDifferences(wanted: Fields, stored: Fields, service: DesiredService): readonly JsonDifference[] {
  const texts = ['targetUrl', 'specificationUrl', 'apiType'].flatMap((name) => {
    const [mine, theirs] = [wanted.get(name) ?? '', stored.get(name) ?? '']
    return mine === theirs ? [] : [differenceAt(['api', name], mine, theirs)]
  })
  const later = laterFields.some((name) => wanted.has(name))
    ? laterFields.flatMap((name) =>
        wanted.has(name) && stored.has(name) ? starred(wanted.get(name), stored.get(name), ['api', name]) : [],
      )
    : laterFields.filter((name) => stored.has(name)).map((name) => differenceAt(['api', name], '', stored.get(name)))
  const spec =
    fetchedFrom(service) === undefined ? specDifferences(wanted.get('spec'), stored.get('spec'), ['api', 'spec']) : []
  return [...texts, ...spec, ...credentialDifferences(wanted.get('credentials'), stored.get('credentials')), ...later]
}

function differenceAt(path: Path, wanted: unknown, stored: unknown): JsonDifference {
  return { path, kind: stored === '' ? 'missing' : wanted === '' ? 'unexpected' : 'different' }
}

function credentialDifferences(wanted: unknown, stored: unknown): readonly JsonDifference[] {
  const path = ['api', 'credentials']
  const [mine, theirs] = [effective(wanted), effective(stored)]
  if (mine.size === 0) return theirs.size === 0 ? [] : [{ path, kind: 'unexpected' }]
  if (theirs.size === 0) return [{ path, kind: 'missing' }]
  return starred(Object.fromEntries(mine), Object.fromEntries(theirs), path).filter(
    // The Registry generates it.
    (difference) => difference.path.slice(2).join('.') !== 'certificateGen.certificate',
  )
}

/** The credentials without what the Registry drops: none at all, and a certificate without a name. */
function effective(credentials: unknown): Fields {
  const fields = [...(fieldsOf(credentials) ?? [])]
  return new Map(
    fields.filter(
      ([kind, value]) =>
        fieldsOf(value) !== undefined &&
        (kind !== 'certificateGen' || (fieldsOf(value)?.get('commonName') ?? '') !== ''),
    ),
  )
}

/** The differences between JSON values, where a value that the Registry shows as stars equals any other. */
function starred(wanted: unknown, stored: unknown, path: Path): readonly JsonDifference[] {
  return jsonDifferences(wanted, stored, path).filter(
    (difference) => difference.kind !== 'different' || valueAt(stored, difference.path.slice(path.length)) !== stars,
  )
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (found, key) => (Array.isArray(found) ? found[Number(key)] : fieldsOf(found)?.get(String(key))),
    value,
  )
}

function specDifferences(wanted: unknown, stored: unknown, path: Path): readonly JsonDifference[] {
  if (wanted === undefined) return stored === undefined ? [] : [{ path, kind: 'unexpected' }]
  if (stored === undefined) return [{ path, kind: 'missing' }]
  const document: unknown = wanted instanceof RawJson ? JSON.parse(wanted.text) : wanted
  const found = isSwagger(document) ? swaggerDifferences(document, stored) : jsonDifferences(document, stored)
  return found.map((difference) => ({ ...difference, path: [...path, ...difference.path] }))
}

/** Empty lists are left out, and each text of a document is written even when it is empty. */
function documentationDifferences(wanted: Fields, stored: Fields): readonly JsonDifference[] {
  return jsonDifferences(withoutEmpty(wanted), withoutEmpty(stored), ['documentation'])
}

function withoutEmpty(fields: Fields): unknown {
  return Object.fromEntries(
    [...fields].flatMap(([name, value]): [string, unknown][] => {
      if (value === '' || value === null || (Array.isArray(value) && value.length === 0)) return []
      if (!Array.isArray(value)) return [[name, value]]
      return [[name, value.map((item: unknown) => (fieldsOf(item) ? withoutEmpty(fieldsOf(item) ?? new Map()) : item))]]
    }),
  )
}
