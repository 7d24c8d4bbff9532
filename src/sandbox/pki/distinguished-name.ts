import { derOid, derSequence, derSetOf, derValue, readDer, readMembers, TAG, type DerValue } from './der.js'

/** The attributes of a subject that the Connector keeps, in the order in which it writes them (docs/contract.md §5). */
const KEPT = [
  { short: 'C', oid: '2.5.4.6' },
  { short: 'ST', oid: '2.5.4.8' },
  { short: 'L', oid: '2.5.4.7' },
  { short: 'O', oid: '2.5.4.10' },
  { short: 'OU', oid: '2.5.4.11' },
  { short: 'CN', oid: '2.5.4.3' },
  { short: 'serialNumber', oid: '2.5.4.5' },
] as const

export type AttributeName = (typeof KEPT)[number]['short']

/** The values of a subject by attribute, in the order of the name. */
export type Subject = Readonly<Record<AttributeName, readonly string[]>>

const encodedOids = new Map(KEPT.map(({ short, oid }) => [derOid(oid).toString('hex'), short]))

/** Go writes a PrintableString where the characters allow it. In Go `*` and `&` do not. */
function derString(value: string): Buffer {
  const tag = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? TAG.printableString : TAG.utf8String
  return derValue(tag, Buffer.from(value))
}

const BMP_STRING = 0x1e
const TELETEX_STRING = 0x14

function readString(value: DerValue): string {
  if (value.tag === BMP_STRING) return readBmpString(value.contents)
  return value.contents.toString(value.tag === TELETEX_STRING ? 'latin1' : 'utf8')
}

/** UTF-16 in big-endian order; an odd last byte is dropped. */
function readBmpString(bytes: Buffer): string {
  return Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 2)))
    .swap16()
    .toString('utf16le')
}

/** Reads the attributes of a DER Name that the Connector knows and ignores the others. @throws DerError */
export function readSubject(name: DerValue | undefined): Subject {
  const found: Record<AttributeName, string[]> = { C: [], ST: [], L: [], O: [], OU: [], CN: [], serialNumber: [] }
  for (const rdn of readMembers(name, TAG.sequence, 0)) {
    for (const attribute of readDer(rdn.contents)) {
      const [type, value] = readMembers(attribute, TAG.sequence, 2)
      const short = type === undefined ? undefined : encodedOids.get(type.bytes.toString('hex'))
      if (short !== undefined && value !== undefined) found[short].push(readString(value))
    }
  }
  return found
}

/** The Name as the Connector re-encodes it: the values of an attribute share one RDN; of CN and serialNumber only the last is kept. */
export function encodeSubject(subject: Subject): Buffer {
  const rdns = KEPT.flatMap(({ short, oid }) => {
    const values = short === 'CN' || short === 'serialNumber' ? subject[short].slice(-1) : subject[short]
    return values.length === 0 ? [] : [derSetOf(values.map((value) => derSequence(derOid(oid), derString(value))))]
  })
  return derSequence(...rdns)
}

/** A Name with one attribute per pair, in the order given: C as PrintableString and the others as UTF8String, as openssl writes them. */
export function encodeNameInOrder(pairs: readonly (readonly [AttributeName, string])[]): Buffer {
  return derSequence(
    ...pairs.map(([short, value]) => {
      const oid = KEPT.find((attribute) => attribute.short === short)?.oid ?? ''
      const tag = short === 'C' ? TAG.printableString : TAG.utf8String
      return derSetOf([derSequence(derOid(oid), derValue(tag, Buffer.from(value)))])
    }),
  )
}
