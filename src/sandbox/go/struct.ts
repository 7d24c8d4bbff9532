import type { JsonNode } from './json.js'

/** The Go types that the services unmarshal into: what else is sent is refused in Go's words, or ignored. */
export type GoType =
  | { readonly kind: 'string' }
  /** json.RawMessage or interface{}: anything. */
  | { readonly kind: 'any' }
  | { readonly kind: 'map'; readonly of: GoType }
  | { readonly kind: 'slice'; readonly of: GoType }
  | { readonly kind: 'struct'; readonly name: string; readonly fields: Readonly<Record<string, GoType>> }

export const goString: GoType = { kind: 'string' }
export const goAny: GoType = { kind: 'any' }

function typeName(type: GoType): string {
  switch (type.kind) {
    case 'string':
      return 'string'
    case 'any':
      return 'json.RawMessage'
    case 'map':
      return `map[string]${typeName(type.of)}`
    case 'slice':
      return `[]${typeName(type.of)}`
    case 'struct':
      return type.name
  }
}

/** What json.Unmarshal says of a value that does not fit the type, or undefined when it does. null fits everything. */
export function typeError(node: JsonNode, type: GoType, struct = '', path: readonly string[] = []): string | undefined {
  if (node.kind === 'null' || type.kind === 'any') return undefined
  const fits = { string: 'string', map: 'object', slice: 'array', struct: 'object' }[type.kind] === node.kind
  if (!fits) {
    const where = path.length === 0 ? 'value' : `struct field ${struct}.${path.join('.')}`
    return `json: cannot unmarshal ${node.kind} into Go ${where} of type ${typeName(type)}`
  }
  if (type.kind === 'struct' && node.kind === 'object') {
    const inner = type.name.slice(type.name.lastIndexOf('.') + 1)
    for (const member of node.members) {
      const field = Object.entries(type.fields).find(([name]) => sameKey(name, member.name))
      const error = field && typeError(member.value, field[1], inner, [...path, field[0]])
      if (error !== undefined) return error
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

/** Go matches keys without regard to case. */
function sameKey(name: string, key: string): boolean {
  return name === key || name.toLowerCase() === key.toLowerCase()
}

/** The value of a field: the last one given. null is a value here. */
export function fieldOf(node: JsonNode | undefined, name: string): JsonNode | undefined {
  return node?.kind === 'object' ? node.members.findLast((member) => sameKey(name, member.name))?.value : undefined
}

/** A string field: null and absent are Go's empty string. */
export function textOf(node: JsonNode | undefined, name: string): string {
  const value = fieldOf(node, name)
  return value?.kind === 'string' ? value.value : ''
}

/** A field that is a pointer: null and absent are undefined. */
export function pointerOf(node: JsonNode | undefined, name: string): JsonNode | undefined {
  const value = fieldOf(node, name)
  return value?.kind === 'null' ? undefined : value
}
