/** The part of DER that certificates and signing requests need: a writer of values and a strict reader of one level at a time. */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** One value: its tag, its contents, and all of its bytes with tag and length. */
export interface DerValue {
  readonly tag: number
  readonly contents: Buffer
  readonly bytes: Buffer
}

/** The bytes are not DER; the message is the one of Go's package asn1. */
export class DerError extends Error {}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

export function derValue(tag: number, ...contents: Buffer[]): Buffer {
  const body = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), lengthBytes(body.length), body])
}

export function derSequence(...contents: Buffer[]): Buffer {
  return derValue(TAG.sequence, ...contents)
}

/** DER sorts the members of a SET OF by their bytes. */
export function derSetOf(members: readonly Buffer[]): Buffer {
  return derValue(TAG.set, ...[...members].sort((a, b) => Buffer.compare(a, b)))
}

export const derNull = derValue(TAG.null)

/** A non-negative integer, given in big-endian bytes. */
export function derInteger(magnitude: Buffer): Buffer {
  return derValue(TAG.integer, (magnitude[0] ?? 0) < 0x80 ? magnitude : Buffer.concat([Buffer.from([0]), magnitude]))
}

/** A bit string of whole bytes. */
export function derBitString(bytes: Buffer): Buffer {
  return derValue(TAG.bitString, Buffer.from([0]), bytes)
}

/** An object identifier from its dotted form. */
export function derOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128]
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) groups.unshift((high % 128) | 0x80)
    return groups
  })
  return derValue(TAG.oid, Buffer.from(bytes))
}

/** A point in time, to the second: UTCTime to 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). */
export function derTime(date: Date): Buffer {
  const digits = date
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '')
  return date.getUTCFullYear() < 2050
    ? derValue(TAG.utcTime, Buffer.from(digits.slice(2)))
    : derValue(TAG.generalizedTime, Buffer.from(digits))
}

/** Reads a sequence of values until the end of `bytes`. @throws DerError */
export function readDer(bytes: Buffer): DerValue[] {
  const values: DerValue[] = []
  for (let at = 0; at < bytes.length;) {
    const value = readFirstDer(bytes.subarray(at))
    values.push(value)
    at += value.bytes.length
  }
  return values
}

/** Reads the value at the start of `bytes` and ignores the bytes after it. @throws DerError */
export function readFirstDer(bytes: Buffer): DerValue {
  const tag = bytes[0]
  const short = bytes[1]
  if (tag === undefined || short === undefined) throw new DerError('asn1: syntax error: sequence truncated')
  let start = 2
  let length = short
  if (short >= 0x80) {
    const count = short & 0x7f
    start += count
    if (count === 0 || count > 4 || bytes.length < start) throw new DerError('asn1: syntax error: data truncated')
    length = bytes.readUIntBE(2, count)
  }
  if (bytes.length < start + length) throw new DerError('asn1: syntax error: data truncated')
  return { tag, contents: bytes.subarray(start, start + length), bytes: bytes.subarray(0, start + length) }
}

/** The values in a constructed value, which must have this tag and at least so many members. @throws DerError */
export function readMembers(value: DerValue | undefined, tag: number, atLeast: number): DerValue[] {
  if (value?.tag !== tag) throw new DerError("asn1: structure error: tags don't match")
  const members = readDer(value.contents)
  if (members.length < atLeast) throw new DerError('asn1: syntax error: sequence truncated')
  return members
}
