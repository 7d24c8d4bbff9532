import { UsageError } from '../errors.js'

/** The key of an event: events with the same key are sent one after the other. undefined for an event without one. */
export type KeyOfLine = (line: Buffer) => string | undefined

/** No value is written like this. */
const tooDeep = ''

/** Finds the keys of events by a JSON pointer (RFC 6901), such as `/data/orderId`. */
export class EventKey {
  readonly #path: readonly string[]
  #hasFound = false
  #hasMissed = false

  /** @throws UsageError */
  constructor(pointer: string) {
    if (!/^(?:\/(?:[^~]|~[01])*)?$/.test(pointer)) {
      throw new UsageError(`the key ${JSON.stringify(pointer)} is not a JSON pointer`, {
        hints: ['begin it with "/", and write "~0" for "~" and "~1" for "/" in names: --key /data/orderId'],
      })
    }
    const names = pointer.split('/').slice(1)
    this.#path = names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  }

  readonly of: KeyOfLine = (line) => {
    const value = this.#path.reduce(memberOf, parse(line))
    if (value === undefined) {
      this.#hasMissed = true
      return undefined
    }
    this.#hasFound = true
    return write(value)
  }

  /** Whether events have been looked at, and none of them has a value there: the pointer is probably wrong. */
  get isUnused(): boolean {
    return this.#hasMissed && !this.#hasFound
  }
}

/** undefined for a line that is not JSON: it has no key. */
function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}

/** A value that this engine cannot write, because it is nested too deep, has the same key as all others like it, so that none overtakes another. */
function write(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    return tooDeep
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (Array.isArray(value) && !/^(?:0|[1-9]\d*)$/.test(name)) return undefined
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
