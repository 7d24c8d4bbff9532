import { fieldOf, type Node } from './tree.js'

/** Where a value is in a document: `['api', 'targetUrl']`. */
export type FieldPath = readonly (string | number)[]

/** `documentation.docs[0].source`, as messages name it. */
export function formatPath(path: FieldPath): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${shownName(part)}`))
    .join('')
}

/** A name from a file, short enough for a message and without control characters. */
export function shownName(name: string): string {
  const short = name.length > 80 ? `${name.slice(0, 77)}...` : name
  return /^[\w.$!<>:,+-]+$/.test(short) ? short : JSON.stringify(short)
}

/** The offset of the name of a field or of an item; of what the document does not have, that of the nearest one around it. */
export function offsetOfField(root: Node, path: FieldPath): number {
  let node: Node = root
  let offset = root.start
  for (const part of path) {
    if (typeof part === 'number') {
      const item: Node | undefined = node.kind === 'list' ? node.items[part] : undefined
      if (item === undefined) return offset
      node = item
      offset = item.start
    } else {
      const field = fieldOf(node, part)
      if (field === undefined) return offset
      node = field.value
      offset = field.start
    }
  }
  return offset
}

/** The value at a path. */
export function nodeAt(root: Node, path: FieldPath): Node | undefined {
  let node: Node | undefined = root
  for (const part of path) {
    node = typeof part === 'string' ? fieldOf(node, part)?.value : node?.kind === 'list' ? node.items[part] : undefined
  }
  return node
}
