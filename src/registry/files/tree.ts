/** A document as its text has it: each value with its offset in the text. */
export type Node = MapNode | ListNode | ScalarNode

export interface MapNode {
  readonly kind: 'map'
  readonly start: number
  /** Where the value ends, in JSON; -1 in YAML. */
  end: number
  readonly fields: Field[]
}

export interface ListNode {
  readonly kind: 'list'
  readonly start: number
  end: number
  readonly items: Node[]
}

export interface ScalarNode {
  readonly kind: 'scalar'
  readonly start: number
  readonly end: number
  readonly value: null | boolean | number | string
  /** A number as it is written, where that is valid JSON: 1.10 stays 1.10. */
  readonly number?: string
}

export interface Field {
  readonly name: string
  /** The offset of the name. */
  readonly start: number
  readonly value: Node
}

/** A text cannot be read, or is ambiguous. */
export interface SyntaxProblem {
  readonly offset: number
  readonly message: string
  readonly hint?: string
  /** The document has a meaning nevertheless, so its fields can be checked as well. */
  readonly isReadable?: true
}

export interface Documents {
  /** One root for each document that is not empty. */
  readonly roots: readonly Node[]
  readonly problems: readonly SyntaxProblem[]
}

export type ReadText = (text: string) => Documents

/** How deep a document may be nested. */
export const maxDepth = 100

/** How many problems are looked for in a text, and in all of them: each takes time to place, and a hostile file could have a million. */
export const maxProblems = 1000

export function fieldOf(node: Node | undefined, name: string): Field | undefined {
  return node?.kind === 'map' ? node.fields.find((field) => field.name === name) : undefined
}

/** JSON text of a node. A JSON document's own text is kept, byte for byte. */
export function jsonText(node: Node, text: string): string {
  if (node.end !== -1) return text.slice(node.start, node.end)
  switch (node.kind) {
    case 'map':
      return `{${node.fields.map(({ name, value }) => `${JSON.stringify(name)}:${jsonText(value, text)}`).join(',')}}`
    case 'list':
      return `[${node.items.map((item) => jsonText(item, text)).join(',')}]`
    case 'scalar':
      return node.number ?? JSON.stringify(node.value)
  }
}
