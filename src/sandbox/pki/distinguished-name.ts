import { derOid, derSequence, derSetOf, derValue, readDer, readMembers, TAG, type DerValue } from './der.js'

/** The attributes of a subject that the Connector keeps, in the order in which it writes them (contract §5). */
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

/** The values of a subject by attribute, in the order in which they stand in the name. */
export type Subject = Readonly<Record<AttributeName, readonly string[]>>

const encodedOids = new Map(KEPT.map(({ short, oid }) => [derOid(oid).toString('hex'), short]))

/** Go writes a PrintableString where the characters allow it; `*` and `&` are not among them. */
function derString(value: string): Buffer {
  const tag = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? TAG.printableString : TAG.utf8String
  return derValue(tag, Buffer.from(value))
}

const BMP_STRING = 0x1e
const TELETEX_STRING = 0x14

function readString(value: DerValue): string {
  if (value.tag === BMP_STRING) return Buffer.from(value.contents).swap16().toString('utf16le')
  return value.contents.toString(value.tag === TELETEX_STRING ? 'latin1' : 'utf8')
}

/** Reads the attributes of a DER Name that the Connector knows; others are ignored. */
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

/** The Name as the Connector re-encodes it: several values of an attribute share one RDN, of CN and serialNumber the last counts. */
export function encodeSubject(subject: Subject): Buffer {
  const rdns = KEPT.flatMap(({ short, oid }) => {
    const values = short === 'CN' || short === 'serialNumber' ? subject[short].slice(-1) : subject[short]
    return values.length === 0 ? [] : [derSetOf(values.map((value) => derSequence(derOid(oid), derString(value))))]
  })
  return derSequence(...rdns)
}

/** A Name with one attribute for each pair, in the order given and as UTF8String but for the country: as openssl writes the CA's. */
export function encodeNameInOrder(pairs: readonly (readonly [AttributeName, string])[]): Buffer {
  return derSequence(
    ...pairs.map(([short, value]) => {
      const oid = KEPT.find((attribute) => attribute.short === short)?.oid ?? ''
      const tag = short === 'C' ? TAG.printableString : TAG.utf8String
      return derSetOf([derSequence(derOid(oid), derValue(tag, Buffer.from(value)))])
    }),
  )
}

/**
 * The subject header of the ingress: RFC 2253, so in reverse, everything beyond ASCII as escaped bytes (contract §7).
 * `multiline` is `X509Certificate.subject`: an RDN a line, already escaped as RFC 2253 wants.
 */
export function toRfc2253(multiline: string): string {
  return multiline
    .split('\n')
    .reverse()
    .map((rdn) => rdn.split(' + ').reverse().join('+'))
    .join(',')
    .replace(/[^\x20-\x7e]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    )
}

/** The common name in an RFC 2253 subject, or undefined. */
export function commonNameIn(rfc2253: string): string | undefined {
  const escaped = /(?:^|[,+])CN=((?:\\.|[^\\,+])+)/.exec(rfc2253)?.[1]
  if (escaped === undefined) return undefined
  const bytes = escaped.replace(/\\([0-9A-F]{2}|.)/g, (_, what: string) =>
    what.length === 2 ? String.fromCharCode(parseInt(what, 16)) : what,
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
