import { UsageError } from '../errors.js'

/** The key of an event: events with the same key are sent one after the other. undefined for an event without one. */
export type KeyOfLine = (line: Buffer) => string | undefined

/**
 * Reads a JSON pointer (RFC 6901) to the key in a line, such as `/data/orderId`.
 * @throws UsageError
 */
export function parseKeyPointer(pointer: string): KeyOfLine {
  if (!/^(?:\/(?:[^~]|~[01])*)?$/.test(pointer)) {
    throw new UsageError(`the key ${JSON.stringify(pointer)} is not a JSON pointer`, {
      hints: ['begin it with "/", and write "~0" for "~" and "~1" for "/" in names: --key /data/orderId'],
    })
  }
  const names = pointer.split('/').slice(1)
  const path = names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  return (line) => {
    const value = path.reduce(memberOf, parse(line))
    return value === undefined ? undefined : JSON.stringify(value)
  }
}

/** undefined for a line that is not JSON, or is nested too deep for this engine: it has no key. */
function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (Array.isArray(value) && !/^(?:0|[1-9]\d*)$/.test(name)) return undefined
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
