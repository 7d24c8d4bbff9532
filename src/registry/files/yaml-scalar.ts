import { shownName } from './field-path.js'

export interface ResolvedScalar {
  readonly type: 'null' | 'bool' | 'int' | 'float' | 'str'
  readonly value: null | boolean | number | string
  /** A number as it is written, where that is valid JSON: 1.10 stays 1.10. */
  readonly number?: string
  /** Why the number has no value that all programs agree on. */
  readonly problem?: string
}

const words = new Map<string, null | boolean>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
])
const int = /^(?:[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+)$/
const float = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/
const notFinite = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** The value of an unquoted scalar by YAML 1.2's core schema (section 10.3.2). */
export function resolveScalar(source: string): ResolvedScalar {
  const word = words.get(source)
  if (word !== undefined) return { type: word === null ? 'null' : 'bool', value: word }
  // Most texts begin with a letter.
  if (!/^[-+.\d]/.test(source)) return { type: 'str', value: source }
  if (int.test(source)) {
    return Number.isSafeInteger(Number(source))
      ? numberOf('int', source)
      : {
          type: 'int',
          value: source,
          problem: `the integer ${shownName(source)} is beyond 2^53, so programs read it differently`,
        }
  }
  if (float.test(source)) {
    return Number.isFinite(Number(source))
      ? numberOf('float', source)
      : { type: 'float', value: source, problem: `the number ${shownName(source)} is too large` }
  }
  if (notFinite.test(source))
    return { type: 'float', value: source, problem: `JSON does not have the number ${source}` }
  return { type: 'str', value: source }
}

function numberOf(type: 'int' | 'float', source: string): ResolvedScalar {
  return { type, value: Number(source), ...(jsonNumber.test(source) && { number: source }) }
}
