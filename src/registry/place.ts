/** A position in a file, for messages. */
export interface Place {
  /** The path as the user gave it, or found below a folder that the user gave; `-` is standard input. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** In characters, from 1. */
  readonly column: number
}

/** `orders.yaml:3:5`, which editors and terminals make a link of. */
export function formatPlace({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`
}
