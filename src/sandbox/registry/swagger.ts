import { marshal, parseJson, remarshal, unmarshal, type JsonNode } from '../go/json.js'
import { fieldOf, sameKey } from '../go/struct.js'
import { swaggerStructure, type Part, type Shape } from './swagger-structure.js'

/** A value does not fit the structure. */
class Misfit extends Error {}

/**
 * Points a Swagger 2.0 document at the gateway inside the cluster, as the Registry does on write: the document is read into a structure
 * and written anew. Any other document, and one that does not fit the structure, stays as it is (docs/contract.md §9).
 *
 * @param spec JSON text
 */
export function rewriteSwagger(spec: string, app: string, id: string): string {
  const document = parseJson(spec)
  if (document?.kind !== 'object') return spec
  const version = fieldOf(document, 'swagger')
  if (version?.kind !== 'string' || version.value !== '2.0') return spec
  const members = document.members.filter(({ name }) => !REPLACED.some((replaced) => sameKey(replaced, name)))
  const given = [
    ['schemes', '["http"]'],
    ['host', marshal(`app-${app}-${id}.kyma-integration.svc.cluster.local`)],
  ].map(([name = '', json = '']) => ({ name, raw: marshal(name), value: unmarshal(Buffer.from(json)) }))
  try {
    // The values that are replaced must fit, too.
    write(document, swaggerStructure)
    return write({ kind: 'object', members: [...members, ...given] }, swaggerStructure) ?? spec
  } catch (error) {
    if (error instanceof Misfit) return spec
    throw error
  }
}

const REPLACED = ['host', 'basePath', 'schemes']

/** The JSON text of a value in this shape; undefined for a value that is left out. @throws Misfit */
function write(node: JsonNode, shape: Shape): string | undefined {
  if (node.kind === 'null') return undefined
  if (shape === 'any') return remarshal(node)
  if (shape === 'string')
    return node.kind === 'string' ? (node.value === '' ? undefined : marshal(node.value)) : misfit()
  if (shape === 'boolean') return node.kind === 'bool' ? (node.raw === 'true' ? 'true' : undefined) : misfit()
  if (shape === 'number') return node.kind === 'number' ? marshal(Number(node.raw)) : misfit()
  if (shape === 'integer') return node.kind === 'number' && /^-?\d+$/.test(node.raw) ? node.raw : misfit()
  switch (shape.kind) {
    case 'list': {
      if (node.kind !== 'array') return misfit()
      const items = node.items.map((item) => write(item, shape.of) ?? emptyOf(shape.of))
      return items.length === 0 ? undefined : `[${items.join(',')}]`
    }
    case 'map': {
      if (node.kind !== 'object') return misfit()
      const members = writeEntries(node, shape.of, () => true)
      return members.length === 0 ? undefined : `{${members.join(',')}}`
    }
    case 'either': {
      const fitting = shape.shapes.find((one) => fits(node, one)) ?? misfit()
      // A choice is a pointer or an interface: false and '' are values in it.
      return write(node, fitting) ?? emptyOf(fitting)
    }
    case 'structure':
      if (node.kind !== 'object') return misfit()
      return `{${writeParts(node, shape.parts()).join(',')}}`
  }
}

function misfit(): never {
  throw new Misfit()
}

function fits(node: JsonNode, shape: Shape): boolean {
  if (shape === 'boolean') return node.kind === 'bool'
  if (shape === 'string') return node.kind === 'string'
  if (typeof shape === 'string') return false
  return node.kind === (shape.kind === 'list' ? 'array' : 'object')
}

function emptyOf(shape: Shape): string {
  if (shape === 'string') return '""'
  if (shape === 'boolean') return 'false'
  if (typeof shape === 'string') return 'null'
  return shape.kind === 'structure' ? '{}' : 'null'
}

type ObjectNode = Extract<JsonNode, { kind: 'object' }>

function writeParts(node: ObjectNode, parts: readonly Part[]): readonly string[] {
  return parts.flatMap((part): readonly string[] => {
    switch (part.kind) {
      case 'field': {
        const value = fieldOf(node, part.name)
        const json = (value && write(value, part.shape)) ?? part.whenAbsent
        return json === undefined ? [] : [`${marshal(part.name)}:${json}`]
      }
      case 'entries':
        return writeEntries(node, part.of, part.keeps)
      case 'extensions':
        return writeEntries(node, 'any', isExtension)
      case 'unknown keys': {
        const known = parts.flatMap((one) => (one.kind === 'field' ? [one.name] : []))
        return writeEntries(node, 'any', (key) => !isExtension(key) && !known.some((name) => sameKey(name, key)))
      }
    }
  })
}

const isExtension = (key: string): boolean => key.toLowerCase().startsWith('x-')

/** The members of an object as Go writes those of a map: by key, and of a repeated key the last. */
function writeEntries(node: ObjectNode, of: Shape, keeps: (key: string) => boolean): readonly string[] {
  const values = new Map(node.members.map(({ name, value }) => [name, value]))
  return [...values]
    .filter(([key]) => keeps(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${marshal(key)}:${write(value, of) ?? emptyOf(of)}`)
}
