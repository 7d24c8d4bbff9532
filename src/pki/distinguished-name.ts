/** One attribute of a name: a short type (`CN`) or dotted OID, and its value as plain text, nothing escaped. */
export interface Attribute {
  readonly type: string
  readonly value: string
}

/** A relative distinguished name: usually one attribute, several when multi-valued (`OU=a+OU=b`). */
export type RelativeName = readonly Attribute[]

/** A distinguished name in the order in which it was written. */
export type DistinguishedName = readonly RelativeName[]

/** Short types and their OIDs: RFC 4519, and `emailAddress` as openssl spells it. */
const oidOfType: ReadonlyMap<string, string> = new Map([
  ['CN', '2.5.4.3'],
  ['SN', '2.5.4.4'],
  ['SERIALNUMBER', '2.5.4.5'],
  ['C', '2.5.4.6'],
  ['L', '2.5.4.7'],
  ['ST', '2.5.4.8'],
  ['STREET', '2.5.4.9'],
  ['O', '2.5.4.10'],
  ['OU', '2.5.4.11'],
  ['TITLE', '2.5.4.12'],
  ['GN', '2.5.4.42'],
  ['UID', '0.9.2342.19200300.100.1.1'],
  ['DC', '0.9.2342.19200300.100.1.25'],
  ['EMAILADDRESS', '1.2.840.113549.1.9.1'],
])

const dotted = /^[0-2](\.(0|[1-9]\d*))+$/

/** The OID of an attribute type, short or dotted, whatever its case; undefined for an unknown one. */
export function attributeOid(type: string): string | undefined {
  return dotted.test(type) ? type : oidOfType.get(type.toUpperCase())
}

/** The attributes of a name in order, multi-valued ones flattened. */
export function attributes(name: DistinguishedName): readonly Attribute[] {
  return name.flat()
}

/** The last CN: with several, it is the one the service compares (docs/contract.md §5). */
export function commonName(name: DistinguishedName): string | undefined {
  return attributes(name).findLast((attribute) => attribute.type.toUpperCase() === 'CN')?.value
}

/**
 * Reads a name as RFC 4514 writes it: escapes, multi-valued parts, hex pairs. Strict: returns undefined for text
 * that is not well-formed, for an unknown type, and for a `#hex` value.
 */
export function parseRfc4514(text: string): DistinguishedName | undefined {
  const name: Attribute[][] = []
  let rest = text
  let joined = false
  for (;;) {
    const type = /^([A-Za-z][A-Za-z0-9-]*|\d[\d.]*)=/.exec(rest)?.[1]
    if (type === undefined || attributeOid(type) === undefined) return undefined
    rest = rest.slice(type.length + 1)
    const raw = /^(?:[^\\,+"<>;\0]|\\[0-9A-Fa-f]{2}|\\[\\,+"<>;=# ])*/.exec(rest)?.[0] ?? ''
    rest = rest.slice(raw.length)
    // A blank at either end, and # at the start, must be escaped.
    if (/^[ #]|(?:^|[^\\])(?:\\\\)* $/.test(raw)) return undefined
    const value = unescape(raw)
    if (value === undefined) return undefined
    const attribute = { type, value }
    if (joined) name.at(-1)?.push(attribute)
    else name.push([attribute])
    if (rest === '') return name
    if (!rest.startsWith(',') && !rest.startsWith('+')) return undefined
    joined = rest.startsWith('+')
    rest = rest.slice(1)
  }
}

/** Undoes `\,` and `\C3\A9`; undefined when the bytes are not UTF-8. */
function unescape(raw: string): string | undefined {
  const bytes = Buffer.concat(
    [...raw.matchAll(/\\([0-9A-Fa-f]{2})|\\(.)|([^\\]+)/gsu)].map(([, hex, special, plain]) =>
      hex === undefined ? Buffer.from(special ?? plain ?? '') : Buffer.from(hex, 'hex'),
    ),
  )
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Writes a name so that {@link parseRfc4514} reads the same back; order kept, as the services write it (not reversed). */
export function formatRfc4514(name: DistinguishedName): string {
  return name.map((part) => part.map((attribute) => `${attribute.type}=${escape(attribute.value)}`).join('+')).join(',')
}

function escape(value: string): string {
  return value
    .replace(/[\\,+"<>;]/g, '\\$&')
    .replace(/[\0-\x1f\x7f]/g, (control) => `\\${control.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, (blank, at: number, whole: string) => (at === 1 && whole.startsWith('\\') ? blank : `\\${blank}`))
}

/** Characters of an announced subject; real ones have about 60. */
const maxSubjectLength = 4096
const announcedTypes = ['O', 'OU', 'L', 'ST', 'C', 'CN'] as const

/**
 * Reads a name as the services write it: the six attributes joined by commas and nothing escaped (docs/contract.md §4),
 * so `O=Acme, Inc.` and `CN=a+b` are literal values. An attribute begins where one of the six types occurs for
 * the first time; a later `,O=` belongs to the value before it. Undefined when the text does not begin with a type.
 */
export function parseConcatenated(text: string): DistinguishedName | undefined {
  const starts: { type: string; at: number; valueAt: number }[] = []
  for (const match of text.matchAll(/(?:^|,)(OU|ST|CN|O|L|C)=/g)) {
    const [whole, type] = match
    if (type === undefined || starts.some((start) => start.type === type)) continue
    starts.push({ type, at: match.index, valueAt: match.index + whole.length })
  }
  if (starts[0]?.at !== 0 || text.startsWith(',')) return undefined
  return starts.map(({ type, valueAt }, index) => [{ type, value: text.slice(valueAt, starts[index + 1]?.at) }])
}

/**
 * Reads the subject a service announces. Text with all six attributes and no backslash is the services' own
 * concatenation; other text is read as RFC 4514, and if that fails as a concatenation.
 */
export function parseAnnouncedSubject(text: string): DistinguishedName | undefined {
  if (text.length > maxSubjectLength) return undefined
  const concatenated = parseConcatenated(text)
  if (concatenated?.length === announcedTypes.length && !text.includes('\\')) return concatenated
  return parseRfc4514(text) ?? concatenated
}

/**
 * Whether a certificate has the requested subject: all its attributes, of known and unknown types, were requested, and none is missing
 * that the service carries over. Order, grouping and encoding do not matter (docs/contract.md §5).
 */
export function isSubjectAskedFor(issued: DistinguishedName, asked: DistinguishedName): boolean {
  const dropped = asked.flat().filter(({ type }) => !carriedOver.has(attributeOid(type) ?? type))
  // A service may also keep what the Connector drops: each of those attributes may be present or absent.
  const optional = canonical([dropped])
  const left = canonical(issued)
  for (const attribute of optional) {
    const at = left.indexOf(attribute)
    if (at >= 0) left.splice(at, 1)
  }
  const right = canonical([asked.flat().filter(({ type }) => carriedOver.has(attributeOid(type) ?? type))])
  return left.length === right.length && left.every((entry, index) => entry === right[index])
}

/** The types that the service carries over into a certificate: it drops the others (docs/contract.md §5). */
const carriedOver: ReadonlySet<string> = new Set(
  [...announcedTypes, 'SERIALNUMBER'].map((type) => attributeOid(type) ?? type),
)

/** Every attribute, by its OID where the type is known, otherwise by the type as written. */
function canonical(name: DistinguishedName): string[] {
  return attributes(name)
    .map(({ type, value }) => `${attributeOid(type) ?? type}=${value}`)
    .sort()
}
