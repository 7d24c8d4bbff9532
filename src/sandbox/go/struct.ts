import type { JsonNode } from './json.js'

/** A Go type that a service unmarshals into. A value that does not fit is refused with Go's message; an unknown field is ignored. */
export type GoType =
  | { readonly kind: 'string' }
  /** json.RawMessage: any value, as it was sent. */
  | { readonly kind: 'raw' }
  /** interface{}: any value that Go has a type for. */
  | { readonly kind: 'interface' }
  | { readonly kind: 'map'; readonly of: GoType }
  | { readonly kind: 'slice'; readonly of: GoType }
  | { readonly kind: 'struct'; readonly name: string; readonly fields: Readonly<Record<string, GoType>> }

export const goString: GoType = { kind: 'string' }
export const goRaw: GoType = { kind: 'raw' }
export const goInterface: GoType = { kind: 'interface' }

function typeName(type: GoType): string {
  switch (type.kind) {
    case 'string':
      return 'string'
    case 'raw':
      return 'json.RawMessage'
    case 'interface':
      return 'interface {}'
    case 'map':
      return `map[string]${typeName(type.of)}`
    case 'slice':
      return `[]${typeName(type.of)}`
    case 'struct':
      return type.name
  }
}

/** The error of json.Unmarshal for a value that does not fit the type; undefined when it fits. null fits every type. */
export function typeError(node: JsonNode, type: GoType, struct = '', path: readonly string[] = []): string | undefined {
  if (node.kind === 'null' || type.kind === 'raw') return undefined
  const misfit = (value: string, goType: string): string => {
    const where = path.length === 0 ? 'value' : `struct field ${struct}.${path.join('.')}`
    return `json: cannot unmarshal ${value} into Go ${where} of type ${goType}`
  }
  if (type.kind === 'interface') {
    const huge = hugeNumberIn(node)
    return huge === undefined ? undefined : misfit(`number ${huge}`, 'float64')
  }
  const fits = { string: 'string', map: 'object', slice: 'array', struct: 'object' }[type.kind] === node.kind
  if (!fits) return misfit(node.kind, typeName(type))
  if (type.kind === 'struct' && node.kind === 'object') {
    const inner = type.name.slice(type.name.lastIndexOf('.') + 1)
    for (const member of node.members) {
      const name = Object.hasOwn(type.fields, member.name)
        ? member.name
        : Object.keys(type.fields).find((field) => sameKey(field, member.name))
      const field = name === undefined ? undefined : type.fields[name]
      const error = name && field && typeError(member.value, field, inner, [...path, name])
      if (error) return error
    }
  }
  if (type.kind === 'map' && node.kind === 'object')
    return firstError(
      node.members.map(({ value }) => value),
      type.of,
      struct,
      path,
    )
  if (type.kind === 'slice' && node.kind === 'array') return firstError(node.items, type.of, struct, path)
  return undefined
}

function firstError(
  nodes: readonly JsonNode[],
  type: GoType,
  struct: string,
  path: readonly string[],
): string | undefined {
  for (const node of nodes) {
    const error = typeError(node, type, struct, path)
    if (error !== undefined) return error
  }
  return undefined
}

/** The first number in a value that a float64 cannot hold, as it was written. There is no recursion: Go reads 10,000 levels. */
function hugeNumberIn(node: JsonNode): string | undefined {
  /** What is still to be looked at, the next one last. */
  const rest = [node]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (next.kind === 'number' && !Number.isFinite(Number(next.raw))) return next.raw
    if (next.kind === 'array') for (const item of [...next.items].reverse()) rest.push(item)
    if (next.kind === 'object') for (const { value } of [...next.members].reverse()) rest.push(value)
  }
  return undefined
}

/** Go matches keys case-insensitively. The name is ASCII, so that a key of another length is another key. */
export function sameKey(name: string, key: string): boolean {
  return name === key || (name.length === key.length && fold(name) === fold(key))
}

/** The long s is an s to Go. So is the Kelvin sign a k, which toLowerCase knows. */
function fold(key: string): string {
  return key.toLowerCase().replaceAll('\u017F', 's')
}

/** The value of a field, which may be null; the last one when the field is repeated. */
export function fieldOf(node: JsonNode | undefined, name: string): JsonNode | undefined {
  return node?.kind === 'object' ? node.members.findLast((member) => sameKey(name, member.name))?.value : undefined
}

/** The value of a string field, the last one when the field is repeated; '' for an absent field. null leaves a string as it is. */
export function textOf(node: JsonNode | undefined, name: string): string {
  if (node?.kind !== 'object') return ''
  const found = node.members.findLast((member) => member.value.kind === 'string' && sameKey(name, member.name))
  return found?.value.kind === 'string' ? found.value.value : ''
}

/** The value of a pointer field; undefined for null and for an absent field. */
export function pointerOf(node: JsonNode | undefined, name: string): JsonNode | undefined {
  const value = fieldOf(node, name)
  return value?.kind === 'null' ? undefined : value
}
