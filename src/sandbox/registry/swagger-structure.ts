/**
 * The structure that the Registry reads a Swagger 2.0 document into (docs/contract.md §9): the fields that it knows, in the order in
 * which it writes them. The recordings show a part of it; the rest follows the Go library that the Registry uses, go-openapi/spec.
 */

export type Shape =
  | 'string'
  | 'boolean'
  /** Written even when it is 0. */
  | 'number'
  /** Written even when it is 0. */
  | 'integer'
  /** Any JSON value. */
  | 'any'
  | { readonly kind: 'list'; readonly of: Shape }
  /** Written in the order of its keys. */
  | { readonly kind: 'map'; readonly of: Shape; readonly keeps?: (key: string) => boolean }
  | { readonly kind: 'either'; readonly shapes: readonly Shape[] }
  | { readonly kind: 'structure'; readonly parts: () => readonly Part[] }

/** A part of a structure; the parts are written one after the other. */
export type Part =
  | { readonly kind: 'field'; readonly name: string; readonly shape: Shape; readonly whenAbsent?: string }
  /** The keys that begin with `x-`, in their order. */
  | { readonly kind: 'extensions' }
  /** All other keys that no field has, in their order. */
  | { readonly kind: 'unknown keys' }
  /** The entries of a map that the structure itself is. */
  | { readonly kind: 'entries'; readonly of: Shape; readonly keeps: (key: string) => boolean }

const listOf = (of: Shape): Shape => ({ kind: 'list', of })
const mapOf = (of: Shape): Shape => ({ kind: 'map', of })
const either = (...shapes: readonly Shape[]): Shape => ({ kind: 'either', shapes })
const structure = (parts: () => readonly Part[]): Shape => ({ kind: 'structure', parts })
const field = (name: string, shape: Shape): Part => ({ kind: 'field', name, shape })
const strings = (...names: readonly string[]): Part[] => names.map((name) => field(name, 'string'))
const extensions: Part = { kind: 'extensions' }

const externalDocs = structure(() => strings('description', 'url'))
const security = listOf(mapOf(listOf('string')))

const info = structure(() => [
  ...strings('description', 'title', 'termsOfService'),
  field(
    'contact',
    structure(() => strings('name', 'url', 'email')),
  ),
  field(
    'license',
    structure(() => strings('name', 'url')),
  ),
  ...strings('version'),
  extensions,
])

const validations: readonly Part[] = [
  field('maximum', 'number'),
  field('exclusiveMaximum', 'boolean'),
  field('minimum', 'number'),
  field('exclusiveMinimum', 'boolean'),
  field('maxLength', 'integer'),
  field('minLength', 'integer'),
  field('pattern', 'string'),
  field('maxItems', 'integer'),
  field('minItems', 'integer'),
  field('uniqueItems', 'boolean'),
  field('multipleOf', 'number'),
  field('enum', listOf('any')),
]

const schema: Shape = structure(() => [
  ...strings('id', 'description'),
  field('type', either('string', listOf('string'))),
  ...strings('format', 'title'),
  field('default', 'any'),
  ...validations,
  field('maxProperties', 'integer'),
  field('minProperties', 'integer'),
  field('required', listOf('string')),
  field('items', either(schema, listOf(schema))),
  field('allOf', listOf(schema)),
  field('oneOf', listOf(schema)),
  field('anyOf', listOf(schema)),
  field('not', schema),
  field('properties', mapOf(schema)),
  field('additionalProperties', either('boolean', schema)),
  field('patternProperties', mapOf(schema)),
  field('definitions', mapOf(schema)),
  extensions,
  ...strings('$ref', '$schema', 'discriminator'),
  field('readOnly', 'boolean'),
  field('xml', 'any'),
  field('externalDocs', externalDocs),
  field('example', 'any'),
  { kind: 'unknown keys' },
])

const simpleSchema = (): readonly Part[] => [
  ...strings('type', 'format'),
  field('items', items),
  ...strings('collectionFormat'),
  field('default', 'any'),
]
const items: Shape = structure(() => [extensions, ...strings('$ref'), ...validations, ...simpleSchema()])
const header = structure(() => [...validations, ...simpleSchema(), ...strings('description'), extensions])

const parameter = structure(() => [
  ...strings('$ref'),
  ...validations,
  ...simpleSchema(),
  extensions,
  ...strings('description', 'name', 'in'),
  field('required', 'boolean'),
  field('schema', schema),
  field('allowEmptyValue', 'boolean'),
])

const response = structure(() => [
  { kind: 'field', name: 'description', shape: 'string', whenAbsent: '""' },
  field('schema', schema),
  field('headers', mapOf(header)),
  field('examples', mapOf('any')),
  ...strings('$ref'),
  extensions,
])

const responses = structure(() => [
  { kind: 'entries', of: response, keeps: (key) => key === 'default' || /^\d+$/.test(key) },
  extensions,
])

const operation = structure(() => [
  ...strings('description'),
  field('consumes', listOf('string')),
  field('produces', listOf('string')),
  field('schemes', listOf('string')),
  field('tags', listOf('string')),
  ...strings('summary'),
  field('externalDocs', externalDocs),
  ...strings('operationId'),
  field('deprecated', 'boolean'),
  field('security', security),
  field('parameters', listOf(parameter)),
  field('responses', responses),
  extensions,
])

const pathItem = structure(() => [
  ...strings('$ref'),
  extensions,
  ...['get', 'put', 'post', 'delete', 'options', 'head', 'patch'].map((method) => field(method, operation)),
  field('parameters', listOf(parameter)),
])

const paths = structure(() => [extensions, { kind: 'entries', of: pathItem, keeps: (key) => key.startsWith('/') }])

const tag = structure(() => [...strings('description', 'name'), field('externalDocs', externalDocs), extensions])

const securityScheme = structure(() => [
  ...strings('description'),
  { kind: 'field', name: 'type', shape: 'string', whenAbsent: '""' },
  ...strings('name', 'in', 'flow', 'authorizationUrl', 'tokenUrl'),
  field('scopes', mapOf('string')),
  extensions,
])

/** The document. `host`, `basePath` and `schemes` are set by the caller. */
export const swaggerStructure = structure(() => [
  ...strings('id'),
  field('consumes', listOf('string')),
  field('produces', listOf('string')),
  field('schemes', listOf('string')),
  ...strings('swagger'),
  field('info', info),
  ...strings('host', 'basePath'),
  { kind: 'field', name: 'paths', shape: paths, whenAbsent: 'null' },
  field('definitions', mapOf(schema)),
  field('parameters', mapOf(parameter)),
  field('responses', mapOf(response)),
  field('securityDefinitions', mapOf(securityScheme)),
  field('security', security),
  field('tags', listOf(tag)),
  field('externalDocs', externalDocs),
  extensions,
])
