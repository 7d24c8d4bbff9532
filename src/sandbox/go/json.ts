/**
 * JSON as Go reads and writes it. The services quote Go's parser in their answers and escape `<`, `>` and `&` (docs/contract.md §3), and
 * they return a spec with its numbers, escapes and order of keys as sent (§9), which JSON.parse does not keep.
 */

interface Leaf {
  /** The value as it was written, one latin1 character per byte. */
  readonly raw: string
}
export type JsonNode =
  | {
      readonly kind: 'object'
      readonly members: readonly { readonly name: string; readonly raw: string; readonly value: JsonNode }[]
    }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | ({ readonly kind: 'string'; readonly value: string } & Leaf)
  | ({ readonly kind: 'number' | 'bool' | 'null' } & Leaf)

/** The message is the one of Go's parser. */
export class JsonSyntaxError extends Error {}

/** The text ended inside a value. `blank`: it ended before any value, after white space alone. */
class JsonEnd extends Error {
  constructor(readonly blank: boolean) {
    super()
  }
}

/** Reads one value and nothing else, like json.Unmarshal. @throws JsonSyntaxError */
export function unmarshal(bytes: Buffer): JsonNode {
  try {
    const scanner = new Scanner(bytes.toString('latin1'), MAX_DOCUMENT_DEPTH)
    const value = scanner.value()
    scanner.skipSpace()
    if (scanner.at < scanner.text.length) scanner.fail('after top-level value')
    return value
  } catch (error) {
    if (error instanceof JsonEnd) throw new JsonSyntaxError('unexpected end of JSON input')
    throw error
  }
}

/** Reads one value from a text that may not be JSON at all; undefined when it is not. */
export function parseJson(text: string): JsonNode | undefined {
  try {
    return unmarshal(Buffer.from(text))
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined
    throw error
  }
}

/**
 * Reads the first value from at most `maxBytes` bytes, like json.Decoder on a limited reader; 'too large' when the value is longer.
 *
 * @throws JsonSyntaxError
 */
export function decodeFirst(bytes: Buffer, maxBytes: number): JsonNode | 'too large' {
  try {
    return new Scanner(bytes.toString('latin1', 0, maxBytes), MAX_DEPTH).value()
  } catch (error) {
    if (!(error instanceof JsonEnd)) throw error
    if (bytes.length > maxBytes) return 'too large'
    throw new JsonSyntaxError(error.blank ? 'EOF' : 'unexpected EOF')
  }
}

/** Go's limit. */
const MAX_DEPTH = 10_000
/** The sandbox's own limit for documents that it rewrites by recursion: at Go's limit, that would overflow the stack here. */
const MAX_DOCUMENT_DEPTH = 1000

type ObjectMember = Extract<JsonNode, { kind: 'object' }>['members'][number]

/** A container whose end has not been read. */
type OpenContainer =
  | { readonly kind: 'object'; readonly members: ObjectMember[]; name: string; raw: string }
  | { readonly kind: 'array'; readonly items: JsonNode[] }

class Scanner {
  at = 0
  constructor(
    readonly text: string,
    readonly maxDepth: number,
  ) {}

  fail(context: string): never {
    const character = this.text[this.at]
    if (character === undefined) throw new JsonEnd(this.text.trim() === '')
    throw new JsonSyntaxError(`invalid character ${quoteCharacter(character)} ${context}`)
  }

  skipSpace(): void {
    while (' \t\r\n'.includes(this.text[this.at] ?? '-')) this.at++
  }

  value(): JsonNode {
    const open: OpenContainer[] = []
    for (;;) {
      this.skipSpace()
      const first = this.text[this.at]
      let node: JsonNode
      if (first === '{' || first === '[') {
        if (open.length === this.maxDepth) this.fail('exceeded max depth')
        const container = this.open(first)
        if (container !== undefined) {
          open.push(container)
          continue
        }
        node = first === '{' ? { kind: 'object', members: [] } : { kind: 'array', items: [] }
      } else node = this.leaf(first)
      // The value may be the last one in the containers around it.
      for (;;) {
        const around = open.at(-1)
        if (around === undefined) return node
        if (!this.endsWith(node, around)) break
        open.pop()
        node = around.kind === 'object' ? { kind: 'object', members: around.members } : around
      }
    }
  }

  /** Steps over an opening bracket and, in an object, over the first name; or over the whole container if it is empty (undefined). */
  private open(bracket: '{' | '['): OpenContainer | undefined {
    this.at++
    this.skipSpace()
    if (this.text[this.at] === (bracket === '{' ? '}' : ']')) {
      this.at++
      return undefined
    }
    return bracket === '{' ? { kind: 'object', members: [], ...this.name() } : { kind: 'array', items: [] }
  }

  /** Adds a value to its container, and steps over what follows: the closing bracket (gives true), or a comma and the next name. */
  private endsWith(value: JsonNode, container: OpenContainer): boolean {
    if (container.kind === 'array') {
      container.items.push(value)
      return this.endOf(']', 'after array element')
    }
    container.members.push({ name: container.name, raw: container.raw, value })
    if (this.endOf('}', 'after object key:value pair')) return true
    Object.assign(container, this.name())
    return false
  }

  /** Steps over a name and its colon. */
  private name(): { name: string; raw: string } {
    this.skipSpace()
    if (this.text[this.at] !== '"') this.fail('looking for beginning of object key string')
    const raw = this.string()
    this.skipSpace()
    if (this.text[this.at] !== ':') this.fail('after object key')
    this.at++
    return { name: decodeString(raw), raw }
  }

  private leaf(first: string | undefined): JsonNode {
    if (first === '"') {
      const raw = this.string()
      return { kind: 'string', value: decodeString(raw), raw }
    }
    if (first === 't') return this.literal('true', 'bool')
    if (first === 'f') return this.literal('false', 'bool')
    if (first === 'n') return this.literal('null', 'null')
    if (first === '-' || isDigit(first)) return this.number()
    return this.fail('looking for beginning of value')
  }

  /** Steps over a comma (gives false) or the closing bracket (gives true). */
  private endOf(close: string, context: string): boolean {
    this.skipSpace()
    const next = this.text[this.at]
    if (next !== ',' && next !== close) this.fail(context)
    this.at++
    return next === close
  }

  private string(): string {
    const start = this.at++
    for (;;) {
      while (isOrdinary(this.text.charCodeAt(this.at))) this.at++
      const character = this.text[this.at]
      if (character === undefined || character < ' ') this.fail('in string literal')
      this.at++
      if (character === '"') return this.text.slice(start, this.at)
      if (character === '\\') this.escape()
    }
  }

  private escape(): void {
    const character = this.text[this.at]
    if (character === undefined || !'"\\/bfnrtu'.includes(character)) this.fail('in string escape code')
    this.at++
    for (let digit = 0; character === 'u' && digit < 4; digit++, this.at++) {
      if (!/[0-9A-Fa-f]/.test(this.text[this.at] ?? '')) this.fail('in \\u hexadecimal character escape')
    }
  }

  private literal(word: string, kind: 'bool' | 'null'): JsonNode {
    for (const expected of word) {
      if (this.text[this.at] !== expected) this.fail(`in literal ${word} (expecting '${expected}')`)
      this.at++
    }
    return { kind, raw: word }
  }

  private number(): JsonNode {
    const start = this.at
    if (this.text[this.at] === '-') this.at++
    if (this.text[this.at] === '0') this.at++
    else this.digits('in numeric literal')
    if (this.text[this.at] === '.') {
      this.at++
      this.digits('after decimal point in numeric literal')
    }
    if (/[eE]/.test(this.text[this.at] ?? '')) {
      this.at++
      if (/[+-]/.test(this.text[this.at] ?? '')) this.at++
      this.digits('in exponent of numeric literal')
    }
    return { kind: 'number', raw: this.text.slice(start, this.at) }
  }

  private digits(context: string): void {
    if (!isDigit(this.text[this.at])) this.fail(context)
    while (isDigit(this.text[this.at])) this.at++
  }
}

/** Whether a character in a string literal neither ends the literal, nor begins an escape, nor is forbidden. NaN is not. */
function isOrdinary(code: number): boolean {
  return code >= 0x20 && code !== 0x22 && code !== 0x5c
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9'
}

function quoteCharacter(character: string): string {
  if (character === "'") return "'\\''"
  if (character === '"') return "'\"'"
  const code = character.charCodeAt(0)
  if (code < 0x20 || code === 0x7f) {
    const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f', '\v': '\\v', '\x07': '\\a' }[
      character
    ]
    return `'${short ?? `\\x${code.toString(16).padStart(2, '0')}`}'`
  }
  if ((code > 0x7f && code <= 0xa0) || code === 0xad) return `'\\u00${code.toString(16)}'`
  return `'${character === '\\' ? '\\\\' : character}'`
}

/** A literal whose characters are ASCII, without escapes. */
const PLAIN = /^[ -\[\]-~]*$/

/** The string in a valid literal. Bytes that are not UTF-8 and lone surrogates become U+FFFD. */
function decodeString(raw: string): string {
  if (PLAIN.test(raw)) return raw.slice(1, -1)
  const text = Buffer.from(raw, 'latin1').toString('utf8')
  if (!text.includes('\\')) return text.slice(1, -1)
  const decoded: unknown = JSON.parse(text)
  return String(decoded).replace(/\p{Surrogate}/gu, '\uFFFD')
}

/** Escapes the characters of a JSON text that Go escapes for the sake of HTML. */
function escapeHtml(json: string): string {
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Writes a value of JavaScript as json.Marshal would. */
export function marshal(value: unknown): string {
  const json = JSON.stringify(value)
  // Go has short escapes for these two since release 1.22, and Kyma was built with an earlier one.
  const long = /\\[bf]/.test(json)
    ? json.replace(/\\(.)/g, (escape, letter) => (letter === 'b' ? '\\u0008' : letter === 'f' ? '\\u000c' : escape))
    : json
  return escapeHtml(long)
}

/** Writes an object from JSON texts, in this order; members without a text are left out. */
export function marshalObject(members: readonly (readonly [name: string, json: string | undefined])[]): string {
  return `{${members.flatMap(([name, json]) => (json === undefined ? [] : [`${marshal(name)}:${json}`])).join(',')}}`
}

/** Writes a value as it was sent, without white space and with Go's escapes (json.RawMessage). */
export function compact(node: JsonNode): string {
  const raw = join(node, {
    leaf: ({ raw }) => raw,
    members: ({ members }) => members.map((member) => [member.raw, member.value]),
  })
  return escapeHtml(Buffer.from(raw, 'latin1').toString('utf8'))
}

/** Writes a value as Go does after it has read it into an interface{}: members by name, of a repeated name the last, numbers as floats. */
export function remarshal(node: JsonNode): string {
  return join(node, {
    leaf: (leaf) =>
      leaf.kind === 'string' ? marshal(leaf.value) : leaf.kind === 'number' ? float(leaf.raw) : leaf.raw,
    members: ({ members }) =>
      [...new Map(members.map(({ name, value }) => [name, value]))]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => [marshal(name), value]),
  })
}

/** Go keeps the sign of zero. */
function float(raw: string): string {
  const number = Number(raw)
  return Object.is(number, -0) ? '-0' : String(number)
}

interface Writer {
  readonly leaf: (node: Exclude<JsonNode, { kind: 'object' | 'array' }>) => string
  /** The names, as JSON texts, and values of an object in the order in which they are written. */
  readonly members: (node: Extract<JsonNode, { kind: 'object' }>) => (readonly [name: string, value: JsonNode])[]
}

/** Writes a value without recursion: it may be nested as deep as Go reads it. */
function join(node: JsonNode, { leaf, members }: Writer): string {
  const parts: string[] = []
  /** What is still to be written, the next one last. */
  const rest: (JsonNode | string)[] = [node]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next === 'string') parts.push(next)
    else if (next.kind === 'object') {
      parts.push('{')
      rest.push('}')
      for (const [name, value] of members(next).reverse()) rest.push(value, ':', name, ',')
      if (rest.at(-1) === ',') rest.pop()
    } else if (next.kind === 'array') {
      parts.push('[')
      rest.push(']')
      for (const item of [...next.items].reverse()) rest.push(item, ',')
      if (rest.at(-1) === ',') rest.pop()
    } else parts.push(leaf(next))
  }
  return parts.join('')
}

/** Replaces the escapes in a JSON text that are half a pair of surrogates by U+FFFD, as Go does when it reads a string. */
export function withoutLoneSurrogates(json: string): string {
  if (!/\\u[Dd][89A-Fa-f]/.test(json)) return json
  return json.replace(
    /\\(?:u[Dd][89ABab]..\\u[Dd][C-Fc-f]..|(u[Dd][89A-Fa-f]..)|.)/g,
    (escape, lone: string | undefined) => (lone === undefined ? escape : '\uFFFD'),
  )
}
