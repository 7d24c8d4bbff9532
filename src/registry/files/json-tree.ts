import { shownName } from './field-path.js'
import { maxDepth, maxProblems, type Documents, type Field, type Node, type SyntaxProblem } from './tree.js'

/** A JSON text has a syntax error at an offset. */
class JsonProblem extends Error {
  constructor(
    readonly offset: number,
    message: string,
  ) {
    super(message)
  }
}

/** Reads one JSON value (RFC 8259) with the offsets of all its parts, which JSON.parse does not give. */
export function readJson(text: string): Documents {
  const reader = new JsonReader(text)
  try {
    return { roots: reader.document(), problems: reader.problems }
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    return { roots: [], problems: [{ offset: error.offset, message: `the file is not valid JSON: ${error.message}` }] }
  }
}

class JsonReader {
  readonly problems: SyntaxProblem[] = []
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** No root, when there is only white space. */
  document(): Node[] {
    this.#skipSpace()
    if (this.#at === this.#text.length) return []
    const root = this.#value(0)
    this.#skipSpace()
    if (this.#at < this.#text.length) throw new JsonProblem(this.#at, 'there is more after the end of the value')
    return [root]
  }

  #value(depth: number): Node {
    if (depth > maxDepth) throw new JsonProblem(this.#at, `it is nested more than ${maxDepth} levels deep`)
    const start = this.#at
    switch (this.#text[start]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"': {
        const value = this.#string()
        return { kind: 'scalar', start, end: this.#at, value }
      }
      default:
        return this.#word()
    }
  }

  #object(depth: number): Node {
    const start = this.#at
    const fields: Field[] = []
    const names = new Set<string>()
    this.#at++
    this.#skipSpace()
    if (this.#take('}')) return { kind: 'map', start, end: this.#at, fields }
    do {
      this.#skipSpace()
      const nameStart = this.#at
      if (this.#text[nameStart] !== '"') throw new JsonProblem(nameStart, 'a name in double quotes is expected')
      const name = this.#string()
      this.#skipSpace()
      if (!this.#take(':')) throw new JsonProblem(this.#at, 'a colon is expected')
      this.#skipSpace()
      const value = this.#value(depth + 1)
      if (names.has(name)) this.#addRepetition(name, nameStart)
      else {
        names.add(name)
        fields.push({ name, start: nameStart, value })
      }
      this.#skipSpace()
    } while (this.#take(','))
    if (!this.#take('}')) throw new JsonProblem(this.#at, 'a comma or } is expected')
    return { kind: 'map', start, end: this.#at, fields }
  }

  #addRepetition(name: string, offset: number): void {
    if (this.problems.length >= maxProblems) return
    const message = `${shownName(name)} is given twice`
    this.problems.push({ offset, message, hint: 'keep one of the two', isReadable: true })
  }

  #array(depth: number): Node {
    const start = this.#at
    const items: Node[] = []
    this.#at++
    this.#skipSpace()
    if (this.#take(']')) return { kind: 'list', start, end: this.#at, items }
    do {
      this.#skipSpace()
      items.push(this.#value(depth + 1))
      this.#skipSpace()
    } while (this.#take(','))
    if (!this.#take(']')) throw new JsonProblem(this.#at, 'a comma or ] is expected')
    return { kind: 'list', start, end: this.#at, items }
  }

  #string(): string {
    const start = this.#at
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 0x22) {
        this.#at++
        const value: unknown = this.#parsed(start, 'a text has an invalid escape')
        return typeof value === 'string' ? value : ''
      }
      if (code < 0x20) throw new JsonProblem(this.#at, 'a text has a line break or a control character')
      if (code === 0x5c) this.#at++
    }
    throw new JsonProblem(start, 'a text has no end')
  }

  #word(): Node {
    const start = this.#at
    const pattern = /[-+.\w]*/y
    pattern.lastIndex = start
    const word = pattern.exec(this.#text)?.[0] ?? ''
    if (word === '') throw new JsonProblem(start, 'a value is expected')
    this.#at += word.length
    const value: unknown = this.#parsed(start, 'a value is expected')
    if (value === null || typeof value === 'boolean' || typeof value === 'number') {
      return { kind: 'scalar', start, end: this.#at, value }
    }
    throw new JsonProblem(start, 'a value is expected')
  }

  #parsed(start: number, problem: string): unknown {
    try {
      return JSON.parse(this.#text.slice(start, this.#at))
    } catch {
      throw new JsonProblem(start, problem)
    }
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #skipSpace(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
    }
  }
}
