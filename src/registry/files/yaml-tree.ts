import type * as Yaml from './yaml-events.js'
import {
  maxDepth,
  type Documents,
  type Field,
  type ListNode,
  type MapNode,
  type Node,
  type ScalarNode,
  type SyntaxProblem,
} from './tree.js'

type Events = ReturnType<typeof Yaml.parseEvents>
type Event = Events[number]
type ScalarEvent = Parameters<typeof Yaml.getScalarValue>[1]

/** The length that the values of all aliases together may have. */
const maxAliasedLength = 8 * 1024 * 1024
/** How many aliases are followed, whatever they refer to. */
const maxAliases = 10_000

/**
 * Reads YAML 1.2 with its core schema: `no` is text, merge keys do not exist. What another program may read differently is a problem:
 * a name given twice, a number that a 64-bit float does not hold.
 */
export async function readYaml(text: string): Promise<Documents> {
  const yaml = await import('./yaml-events.js')
  const problems: SyntaxProblem[] = []
  let events: Events
  try {
    events = yaml.parseEvents(text, { maxDepth })
  } catch (error) {
    if (!(error instanceof yaml.YAMLException)) throw error
    // The reason names the syntax; it quotes nothing of the text but the names of tags and anchors.
    problems.push({ offset: error.mark?.position ?? 0, message: `the file is not valid YAML: ${error.reason}` })
    return { roots: [], problems }
  }
  return { roots: new TreeBuilder(yaml, text, problems).build(events), problems }
}

interface Anchored {
  readonly node: Node
  /** An alias inside the value that it refers to has no end. */
  isComplete: boolean
  length: number
  /** How many levels of maps and lists the node has. */
  depth: number
}

interface Frame {
  readonly node: MapNode | ListNode
  readonly anchored: Anchored | undefined
  /** The names that the map has so far. */
  readonly names: Map<string, number>
  name: { readonly text: string; readonly start: number } | undefined
  /** Of the text that the node has, with aliases followed. */
  length: number
  depth: number
}

class TreeBuilder {
  readonly #yaml: typeof Yaml
  readonly #text: string
  readonly #problems: SyntaxProblem[]
  #anchors = new Map<string, Anchored>()
  #aliases = 0
  #aliasedLength = 0

  constructor(yaml: typeof Yaml, text: string, problems: SyntaxProblem[]) {
    this.#yaml = yaml
    this.#text = text
    this.#problems = problems
  }

  build(events: Events): Node[] {
    const { EVENT_ID } = this.#yaml
    const roots: Node[] = []
    const frames: Frame[] = []
    const add = (node: Node, length: number, depth: number, event: Event | undefined): void => {
      const frame = frames.at(-1)
      if (frame === undefined) {
        roots.push(node)
        return
      }
      frame.length += length
      frame.depth = Math.max(frame.depth, depth + 1)
      if (frame.node.kind === 'list') {
        frame.node.items.push(node)
        return
      }
      if (frame.name === undefined) {
        frame.name = this.#nameOf(node, event)
        return
      }
      const { text, start } = frame.name
      frame.name = undefined
      const first = frame.names.get(text)
      if (first === undefined) {
        frame.names.set(text, start)
        frame.node.fields.push({ name: text, start, value: node } satisfies Field)
      } else {
        this.#problems.push({ offset: start, message: `${shown(text)} is given twice`, hint: 'keep one of the two' })
      }
    }
    for (const event of events) {
      switch (event.type) {
        case EVENT_ID.DOCUMENT:
          this.#anchors = new Map()
          if (event.directives.some(({ kind }) => kind === 'tag')) {
            this.#problems.push({ offset: 0, message: 'the directive %TAG is not supported' })
          }
          break
        case EVENT_ID.SCALAR: {
          const node = this.#scalar(event, frames.at(-1))
          const length = event.valueEnd - event.valueStart + 1
          this.#remember(event, node, length)
          add(node, length, 0, event)
          break
        }
        case EVENT_ID.SEQUENCE:
        case EVENT_ID.MAPPING: {
          const isMap = event.type === EVENT_ID.MAPPING
          const node: MapNode | ListNode = isMap
            ? { kind: 'map', start: event.start, end: -1, fields: [] }
            : { kind: 'list', start: event.start, end: -1, items: [] }
          const tag = this.#tagOf(event)
          if (tag !== undefined && tag !== '!' && tag !== (isMap ? 'map' : 'seq')) this.#refuseTag(event.tagStart, tag)
          frames.push({
            node,
            anchored: this.#remember(event, node, undefined),
            names: new Map(),
            name: undefined,
            length: 2,
            depth: 1,
          })
          break
        }
        case EVENT_ID.ALIAS: {
          const anchored = this.#follow(event.anchorStart, event.anchorEnd, frames.length)
          add(
            anchored?.node ?? { kind: 'scalar', start: event.anchorStart, end: -1, value: null },
            anchored?.length ?? 1,
            anchored?.depth ?? 0,
            event,
          )
          break
        }
        case EVENT_ID.POP: {
          const frame = frames.pop()
          if (frame === undefined) break
          if (frame.anchored !== undefined) {
            frame.anchored.isComplete = true
            frame.anchored.length = frame.length
            frame.anchored.depth = frame.depth
          }
          add(frame.node, frame.length, frame.depth, undefined)
          break
        }
      }
    }
    return roots
  }

  #follow(start: number, end: number, depth: number): Anchored | undefined {
    const name = this.#text.slice(start, end)
    const anchored = this.#anchors.get(name)
    if (anchored === undefined) {
      this.#problems.push({ offset: start, message: `the alias *${name} refers to an anchor that does not exist` })
      return undefined
    }
    if (!anchored.isComplete) {
      this.#problems.push({ offset: start, message: `the alias *${name} refers to the value that it is part of` })
      return undefined
    }
    if (depth + anchored.depth > maxDepth) {
      this.#problems.push({
        offset: start,
        message: `the alias *${name} nests the document more than ${maxDepth} levels deep`,
      })
      return undefined
    }
    this.#aliases++
    this.#aliasedLength += anchored.length
    if (this.#aliases <= maxAliases && this.#aliasedLength <= maxAliasedLength) return anchored
    if (!this.#problems.some(({ message }) => message === tooManyAliases)) {
      this.#problems.push({ offset: start, message: tooManyAliases })
    }
    return undefined
  }

  /** A name is its text, whatever type a value with that text would have: `200:` in a specification is "200". */
  #nameOf(node: Node, event: Event | undefined): { text: string; start: number } {
    const { EVENT_ID, SCALAR_STYLE } = this.#yaml
    if (event?.type !== EVENT_ID.SCALAR) {
      if (node.kind === 'scalar' && typeof node.value === 'string') return { text: node.value, start: node.start }
      this.#problems.push({ offset: node.start, message: 'a name must be text, not a mapping or a list' })
      return { text: '', start: node.start }
    }
    const text = this.#yaml.getScalarValue(this.#text, event)
    if (text === '<<' && event.style === SCALAR_STYLE.PLAIN) {
      this.#problems.push({
        offset: node.start,
        message: 'merge keys (<<) are not part of YAML 1.2',
        hint: 'write the fields out',
      })
    }
    return { text, start: node.start }
  }

  #remember(
    event: { anchorStart: number; anchorEnd: number },
    node: Node,
    length: number | undefined,
  ): Anchored | undefined {
    if (event.anchorStart === -1) return undefined
    const anchored: Anchored = { node, isComplete: length !== undefined, length: length ?? 0, depth: 0 }
    this.#anchors.set(this.#text.slice(event.anchorStart, event.anchorEnd), anchored)
    return anchored
  }

  /** `str` of `!!str` and of `!<tag:yaml.org,2002:str>`; any other tag as it is written. */
  #tagOf({ tagStart, tagEnd }: { tagStart: number; tagEnd: number }): string | undefined {
    if (tagStart === -1) return undefined
    return this.#text.slice(tagStart, tagEnd).replace(/^!!|^!<tag:yaml\.org,2002:([a-z]+)>$/, '$1')
  }

  #refuseTag(offset: number, tag: string): void {
    this.#problems.push({ offset, message: `the tag ${tag} is not supported here` })
  }

  #scalar(event: ScalarEvent, frame: Frame | undefined): ScalarNode {
    const source = this.#yaml.getScalarValue(this.#text, event)
    // An empty value has no place in the text: it is where its name is.
    const start = event.valueStart === -1 ? (frame?.name?.start ?? 0) : openingOf(event, this.#yaml)
    const tag = this.#tagOf(event)
    const isText = tag === 'str' || tag === '!' || (tag === undefined && event.style !== this.#yaml.SCALAR_STYLE.PLAIN)
    // A name keeps its text.
    const isName = frame?.node.kind === 'map' && frame.name === undefined
    if (isText || isName) return { kind: 'scalar', start, end: -1, value: source }
    const { value, type, problem } = resolve(source)
    if (tag !== undefined && tag !== type && !(tag === 'float' && type === 'int')) this.#refuseTag(event.tagStart, tag)
    if (problem !== undefined) this.#problems.push({ offset: start, message: problem, hint: 'quote it if it is text' })
    return {
      kind: 'scalar',
      start,
      end: -1,
      value,
      ...(typeof value === 'number' && jsonNumber.test(source) && { number: source }),
    }
  }
}

const tooManyAliases = 'the aliases repeat too much: a document may grow by 8 MiB and 10,000 aliases'

/** The offset of a quoted text is that of its quote. */
function openingOf({ valueStart, style }: ScalarEvent, { SCALAR_STYLE }: typeof Yaml): number {
  return style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED ? valueStart - 1 : valueStart
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const words = new Map<string, null | boolean>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
])

interface Resolved {
  readonly value: null | boolean | number | string
  readonly type: 'null' | 'bool' | 'int' | 'float' | 'str'
  readonly problem?: string
}

/** The value of an unquoted scalar, by YAML 1.2's core schema (section 10.3.2). */
function resolve(source: string): Resolved {
  const word = words.get(source)
  if (word !== undefined) return { value: word, type: word === null ? 'null' : 'bool' }
  if (/^(?:[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+)$/.test(source)) {
    const value = Number(source)
    const problem = Number.isSafeInteger(value)
      ? undefined
      : `${shown(source)} is an integer beyond 2^53, which programs read differently`
    return { value, type: 'int', ...(problem !== undefined && { problem }) }
  }
  if (/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(source)) {
    const value = Number(source)
    return Number.isFinite(value)
      ? { value, type: 'float' }
      : { value: 0, type: 'float', problem: `${shown(source)} is too large for a number` }
  }
  if (/^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/.test(source)) {
    return { value: 0, type: 'float', problem: `${source} is a number that JSON does not have` }
  }
  return { value: source, type: 'str' }
}

/** A text from the file, short enough for a message and without control characters. */
export function shown(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 77)}...` : text
  return /^[\w.$-]+$/.test(short) ? short : JSON.stringify(short)
}
