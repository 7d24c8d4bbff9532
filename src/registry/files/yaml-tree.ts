import { shownName } from './field-path.js'
import {
  maxDepth,
  maxProblems,
  type ReadText,
  type Documents,
  type Field,
  type ListNode,
  type MapNode,
  type Node,
  type ScalarNode,
  type SyntaxProblem,
} from './tree.js'
import type * as Yaml from './yaml-events.js'
import { resolveScalar } from './yaml-scalar.js'

type Events = ReturnType<typeof Yaml.parseEvents>
type Event = Events[number]
type ScalarEvent = Parameters<typeof Yaml.getScalarValue>[1]

/** How long the text may be that aliases repeat. */
const maxRepeatedLength = 8 * 1024 * 1024
const maxAliases = 10_000

/** Loads the parser, which only commands that read YAML need. */
export async function loadYamlReader(): Promise<ReadText> {
  const yaml = await import('./yaml-events.js')
  return (text) => readYaml(yaml, text)
}

/**
 * Reads YAML 1.2 with its core schema: `no` is text, and merge keys do not exist. What another program may read differently is a
 * problem: a name given twice, a number that a 64-bit float does not hold.
 */
function readYaml(yaml: typeof Yaml, text: string): Documents {
  let events: Events
  try {
    events = yaml.parseEvents(text, { maxDepth })
  } catch (error) {
    if (!(error instanceof yaml.YAMLException)) throw error
    // The reason names the syntax, and quotes nothing of the text but names of tags and directives.
    const message = `the file is not valid YAML: ${error.reason}`
    return { roots: [], problems: [{ offset: error.mark?.position ?? 0, message }] }
  }
  const builder = new TreeBuilder(yaml, text)
  for (const event of events) builder.take(event)
  return { roots: builder.roots, problems: builder.problems }
}

/** A node that aliases may refer to, with what following one adds to the document. */
interface Anchored {
  readonly node: Node
  /** An alias inside the value that it refers to would have no end. */
  isComplete: boolean
  /** The length of its text, with that of the aliases in it. */
  length: number
  /** How many levels of mappings and lists it has. */
  depth: number
}

/** A mapping or a list that has not ended yet. */
interface Open {
  readonly node: MapNode | ListNode
  readonly size: { length: number; depth: number }
  readonly anchored: Anchored | undefined
  /** Of a large mapping: in a small one, looking at each field is faster. */
  names: Set<string> | undefined
  /** The name whose value comes next. */
  name: { readonly text: string; readonly start: number; readonly isMerge?: true } | undefined
}

class TreeBuilder {
  readonly roots: Node[] = []
  readonly problems: SyntaxProblem[] = []
  readonly #yaml: typeof Yaml
  readonly #text: string
  readonly #open: Open[] = []
  #anchors = new Map<string, Anchored>()
  #aliases = 0
  #repeatedLength = 0
  /** Whether the document is reported as too large. */
  #isReported = false

  constructor(yaml: typeof Yaml, text: string) {
    this.#yaml = yaml
    this.#text = text
  }

  take(event: Event): void {
    const { EVENT_ID } = this.#yaml
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        this.#anchors = new Map()
        if (event.directives.some(({ kind }) => kind === 'tag')) this.#add(0, 'the directive %TAG is not supported')
        break
      case EVENT_ID.SCALAR:
        this.#takeScalar(event)
        break
      case EVENT_ID.MAPPING:
        this.#checkTag(event, 'map')
        this.#begin(event, { kind: 'map', start: event.start, end: -1, fields: [] })
        break
      case EVENT_ID.SEQUENCE:
        this.#checkTag(event, 'seq')
        this.#begin(event, { kind: 'list', start: event.start, end: -1, items: [] })
        break
      case EVENT_ID.ALIAS:
        this.#takeAlias(event)
        break
      case EVENT_ID.POP:
        this.#end()
        break
    }
  }

  #begin(event: { anchorStart: number; anchorEnd: number }, node: MapNode | ListNode): void {
    const anchored = { node, isComplete: false, length: 0, depth: 0 }
    this.#open.push({
      node,
      size: { length: 2, depth: 1 },
      anchored: this.#anchor(event, anchored),
      names: undefined,
      name: undefined,
    })
  }

  #end(): void {
    const open = this.#open.pop()
    // The end of a document closes nothing.
    if (open === undefined) return
    const { node, size, anchored } = open
    if (anchored !== undefined) Object.assign(anchored, { isComplete: true, ...size })
    this.#place(node, size, undefined)
  }

  #takeScalar(event: ScalarEvent): void {
    const open = this.#open.at(-1)
    const isName = open?.node.kind === 'map' && open.name === undefined
    const source = this.#yaml.getScalarValue(this.#text, event)
    const node = this.#scalar(event, source, isName)
    const size = { length: event.valueEnd - event.valueStart + 1, depth: 0 }
    this.#anchor(event, { node, isComplete: true, ...size })
    if (isName && source === '<<' && event.style === this.#yaml.SCALAR_STYLE.PLAIN) {
      this.#add(node.start, 'merge keys (<<) are not part of YAML 1.2', {
        hint: 'write the fields out',
        isReadable: true,
      })
      open.name = { text: source, start: node.start, isMerge: true }
      return
    }
    this.#place(node, size, source)
  }

  #takeAlias({ anchorStart, anchorEnd }: { anchorStart: number; anchorEnd: number }): void {
    const name = this.#text.slice(anchorStart, anchorEnd)
    const anchored = this.#anchors.get(name)
    const problem =
      anchored === undefined
        ? 'refers to an anchor that does not exist'
        : !anchored.isComplete
          ? 'refers to the value that it is part of'
          : this.#open.length + anchored.depth > maxDepth
            ? `nests the document more than ${maxDepth} levels deep`
            : this.#repeats(anchored.length)
              ? undefined
              : 'makes the document too large: 10,000 aliases may repeat 8 MiB of text'
    if (anchored === undefined || problem !== undefined) {
      // One of the aliases that make a document too large is enough.
      if (!this.#isReported) this.#add(anchorStart - 1, `the alias *${shownName(name)} ${problem ?? ''}`)
      this.#isReported ||= this.#isTooLarge()
      this.#place({ kind: 'scalar', start: anchorStart, end: -1, value: null }, { length: 0, depth: 0 }, '')
      return
    }
    const { node } = anchored
    this.#place(node, anchored, node.kind === 'scalar' ? String(node.value) : undefined)
  }

  #repeats(length: number): boolean {
    this.#aliases++
    this.#repeatedLength += length
    return !this.#isTooLarge()
  }

  #isTooLarge(): boolean {
    return this.#aliases > maxAliases || this.#repeatedLength > maxRepeatedLength
  }

  /**
   * Puts a node where the events have come to.
   * @param text what the node is as a name; undefined for what cannot be one
   */
  #place(node: Node, { length, depth }: { length: number; depth: number }, text: string | undefined): void {
    const open = this.#open.at(-1)
    if (open === undefined) {
      this.roots.push(node)
      return
    }
    open.size.length += length
    open.size.depth = Math.max(open.size.depth, depth + 1)
    if (open.node.kind === 'list') {
      open.node.items.push(node)
      return
    }
    if (open.name === undefined) {
      if (text === undefined) this.#add(node.start, 'a name must be text, not a mapping or a list')
      open.name = { text: text ?? '', start: node.start }
      return
    }
    const { text: name, start, isMerge } = open.name
    open.name = undefined
    if (isMerge) return
    if (hasName(open, open.node.fields, name)) {
      this.#add(start, `${shownName(name)} is given twice`, { hint: 'keep one of the two', isReadable: true })
      return
    }
    open.node.fields.push({ name, start, value: node })
  }

  #anchor(
    { anchorStart, anchorEnd }: { anchorStart: number; anchorEnd: number },
    anchored: Anchored,
  ): Anchored | undefined {
    if (anchorStart === -1) return undefined
    this.#anchors.set(this.#text.slice(anchorStart, anchorEnd), anchored)
    return anchored
  }

  /** A name keeps its text, whatever type a value with that text would have: `200:` in a specification is "200". */
  #scalar(event: ScalarEvent, source: string, isName: boolean): ScalarNode {
    const { valueStart, style } = event
    const { SCALAR_STYLE } = this.#yaml
    const isQuoted = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED
    // An empty value has no place in the text: it is where its name is.
    const start = valueStart === -1 ? (this.#open.at(-1)?.name?.start ?? 0) : isQuoted ? valueStart - 1 : valueStart
    const tag = this.#tagOf(event)
    const isText = tag === 'str' || tag === '!' || (tag === undefined && style !== SCALAR_STYLE.PLAIN)
    if (isText || isName) return { kind: 'scalar', start, end: -1, value: source }
    const { type, value, number, problem } = resolveScalar(source)
    if (problem !== undefined) this.#add(start, problem, { hint: 'quote it if it is text', isReadable: true })
    // An integer is a float as well.
    this.#checkTag(event, type === 'int' && tag === 'float' ? 'float' : type)
    return { kind: 'scalar', start, end: -1, value, ...(number !== undefined && { number }) }
  }

  #checkTag(event: { tagStart: number; tagEnd: number }, expected: string): void {
    const tag = this.#tagOf(event)
    if (tag === undefined || tag === '!' || tag === expected) return
    this.#add(
      event.tagStart,
      `the tag ${shownName(this.#text.slice(event.tagStart, event.tagEnd))} is not supported here`,
    )
  }

  /** `str` of `!!str` and of `!<tag:yaml.org,2002:str>`; any other tag as it is written. */
  #tagOf({ tagStart, tagEnd }: { tagStart: number; tagEnd: number }): string | undefined {
    if (tagStart === -1) return undefined
    return this.#text.slice(tagStart, tagEnd).replace(/^!!(?=.)|^!<tag:yaml\.org,2002:([a-z]+)>$/, '$1')
  }

  #add(offset: number, message: string, more: Pick<SyntaxProblem, 'hint' | 'isReadable'> = {}): void {
    if (this.problems.length < maxProblems) this.problems.push({ offset, message, ...more })
  }
}

function hasName(open: Open, fields: readonly Field[], name: string): boolean {
  if (fields.length < 16) return fields.some((field) => field.name === name)
  open.names ??= new Set(fields.map((field) => field.name))
  if (open.names.has(name)) return true
  open.names.add(name)
  return false
}
