import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { IdentityUnusableError } from '../errors.js'
import { parseJsonObject, valueOf } from '../json.js'
import type { DistinguishedName } from '../pki/distinguished-name.js'
import { keyToPem } from '../pki/key.js'
import { formatResolveRule, parseResolveRule, type ResolveRule } from '../transport/route.js'
import type { Identity, Material, Metadata, MetadataSummary, Pending, StoredRoute, Urls } from './identity.js'

/**
 * Encodes an identity, or a pending pairing, as named texts, and decodes it. A store decides where to keep the texts: in the folder store
 * each is a file.
 */
export type EncodedFiles = Readonly<Record<string, string>>

/** The format that this program writes. It reads older ones, and refuses newer ones. */
const formatVersion = 1

/** The names of the texts of an encoded identity; all but the last are always present. */
export const identityFiles = ['identity.json', 'key.pem', 'client.crt', 'chain.crt', 'ca.crt', 'server-ca.pem'] as const
/** The names of the texts of an encoded pending pairing; all but the last are always present. */
export const pendingFiles = ['pairing.json', 'key.pem', 'server-ca.pem'] as const

export function encodeIdentity(metadata: Metadata, { key, leaf, chain, ca }: Material): EncodedFiles {
  return {
    'identity.json': encodeMetadata(metadata),
    'key.pem': key,
    'client.crt': leaf,
    'chain.crt': chain,
    'ca.crt': ca,
    ...(metadata.route.serverCa === null ? {} : { 'server-ca.pem': metadata.route.serverCa }),
  }
}

/** The text of identity.json alone. */
export function encodeMetadata(metadata: Metadata): string {
  const { route, notBefore, notAfter, pairedAt, obtainedAt, revokedAt, rejectedAt, ...plain } = metadata
  return toJson({
    ...plain,
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    pairedAt: pairedAt.toISOString(),
    obtainedAt: obtainedAt.toISOString(),
    revokedAt: revokedAt?.toISOString() ?? null,
    rejectedAt: rejectedAt?.toISOString() ?? null,
    ...encodeRoute(route),
  })
}

/**
 * @param profile the name that it is stored under, which may differ from the name in a copied folder
 * @param place where the texts come from, for the errors
 * @throws IdentityUnusableError when something is missing, damaged, or of a newer format
 */
export function decodeIdentity(
  files: Readonly<Record<string, string | undefined>>,
  profile: string,
  place: string,
): Pick<Identity, 'metadata' | 'material'> {
  const read = (name: (typeof identityFiles)[number]): string => {
    const text = files[name]
    if (text === undefined)
      throw new IdentityUnusableError(`the identity in ${place} cannot be used: ${name} is missing`)
    return text
  }
  const summary = decodeMetadata(read('identity.json'), profile, `${place}/identity.json`)
  const metadata = { ...summary, route: { ...summary.route, serverCa: files['server-ca.pem'] ?? null } }
  const [key, leaf, chain, ca] = [read('key.pem'), read('client.crt'), read('chain.crt'), read('ca.crt')]
  if (!isKeyOf(key, leaf))
    throw new IdentityUnusableError(`the identity in ${place} cannot be used: its key does not match its certificate`)
  if (!isSameCertificate(leaf, chain))
    throw new IdentityUnusableError(`the identity in ${place} cannot be used: chain.crt does not begin with client.crt`)
  return { metadata, material: { key, leaf, chain, ca } }
}

/** Reads identity.json alone. @throws as decodeIdentity */
export function decodeMetadata(json: string, profile: string, place: string): MetadataSummary {
  const read = new Reader(json, place)
  return {
    profile,
    app: read.text('app'),
    commonName: read.text('commonName'),
    subject: read.text('subject'),
    fingerprint: read.fingerprint('fingerprint'),
    notBefore: read.date('notBefore'),
    notAfter: read.date('notAfter'),
    gatewayHost: read.optionalText('gatewayHost'),
    acceptedHosts: read.texts('acceptedHosts'),
    connectorHost: read.text('connectorHost'),
    urls: read.urls('urls'),
    route: decodeRoute(read),
    insecure: read.flag('insecure'),
    pairedAt: read.date('pairedAt'),
    // Identities that were stored before renewals existed have none of these.
    obtainedAt: read.optionalDate('obtainedAt') ?? read.date('pairedAt'),
    revokedAt: read.optionalDate('revokedAt'),
    rejectedAt: read.optionalDate('rejectedAt'),
    hookPending: read.optionalFlag('hookPending'),
  }
}

export function encodePending(pending: Pending): EncodedFiles {
  const { csrUrl, createdAt, route, key, ...plain } = pending
  return {
    'pairing.json': toJson({
      ...plain,
      csrUrl: csrUrl.href,
      createdAt: createdAt.toISOString(),
      ...encodeRoute(route),
    }),
    'key.pem': keyToPem(key),
    ...(route.serverCa === null ? {} : { 'server-ca.pem': route.serverCa }),
  }
}

/** @throws IdentityUnusableError as decodeIdentity, also for a damaged key */
export function decodePending(
  files: Readonly<Record<string, string | undefined>>,
  profile: string,
  place: string,
): Pending {
  const { 'pairing.json': json, 'key.pem': pem, 'server-ca.pem': serverCa } = files
  if (json === undefined || pem === undefined)
    throw new IdentityUnusableError(`the pending pairing in ${place} cannot be used: a file is missing`)
  const read = new Reader(json, `${place}/pairing.json`)
  const csrUrl = read.text('csrUrl')
  if (!URL.canParse(csrUrl)) throw read.damaged('csrUrl')
  return {
    profile,
    csrUrl: new URL(csrUrl),
    subject: read.name('subject'),
    app: read.text('app'),
    commonName: read.text('commonName'),
    gatewayHost: read.optionalText('gatewayHost'),
    connectorHost: read.text('connectorHost'),
    urls: read.urls('urls'),
    route: { ...decodeRoute(read), serverCa: serverCa ?? null },
    insecure: read.flag('insecure'),
    createdAt: read.date('createdAt'),
    key: decodeKey(pem, place),
  }
}

function decodeKey(pem: string, place: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    // OpenSSL's own error may quote the input.
    throw new IdentityUnusableError(`the pending pairing in ${place} cannot be used: key.pem is damaged`)
  }
}

function isKeyOf(key: string, leaf: string): boolean {
  try {
    return new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

/** Whether two PEM texts have the same certificate first. */
function isSameCertificate(one: string, other: string): boolean {
  try {
    return new X509Certificate(one).fingerprint256 === new X509Certificate(other).fingerprint256
  } catch {
    return false
  }
}

/** Leaves out the server's CA, which is a separate file. */
function encodeRoute({ nodePort, resolve, proxy }: StoredRoute): object {
  return { nodePort, resolve: resolve.map(formatResolveRule), proxy }
}

function decodeRoute(read: Reader): MetadataSummary['route'] {
  return {
    nodePort: read.port('nodePort'),
    resolve: read.rules('resolve'),
    proxy: read.optionalText('proxy'),
  }
}

/** Parses completely only what does not begin in the usual way: a program that reads 1,000 identities has 5,000 URLs to check. */
function isHttpsUrl(text: string): boolean {
  return URL.canParse(text) && (text.startsWith('https://') || new URL(text).protocol === 'https:')
}

function toJson(fields: object): string {
  return `${JSON.stringify({ formatVersion, ...fields }, null, 2)}\n`
}

/** Reads the fields of one file; an error names the field and the file. */
class Reader {
  readonly #fields: object
  readonly #place: string

  constructor(json: string, place: string) {
    this.#place = place
    const parsed = parseJsonObject(json)
    if (parsed === undefined) throw this.damaged('JSON')
    this.#fields = parsed
    const version = this.#get('formatVersion')
    if (typeof version !== 'number') throw this.damaged('formatVersion')
    if (version > formatVersion) {
      throw new IdentityUnusableError(
        `${place} has format ${version}, and this version reads formats up to ${formatVersion}`,
        {
          hints: ['install the version of kyconnect that wrote it, or a newer one'],
        },
      )
    }
  }

  damaged(what: string): IdentityUnusableError {
    return new IdentityUnusableError(`${this.#place} is damaged: ${what} is missing or invalid`)
  }

  text(name: string): string {
    const value = this.#get(name)
    if (typeof value !== 'string' || value === '') throw this.damaged(name)
    return value
  }

  optionalText(name: string): string | null {
    return this.#get(name) === null || this.#get(name) === undefined ? null : this.text(name)
  }

  fingerprint(name: string): string {
    const value = this.text(name)
    if (!/^[0-9a-f]{64}$/.test(value)) throw this.damaged(name)
    return value
  }

  date(name: string): Date {
    const value = new Date(this.text(name))
    if (Number.isNaN(value.getTime())) throw this.damaged(name)
    return value
  }

  optionalDate(name: string): Date | null {
    return this.optionalText(name) === null ? null : this.date(name)
  }

  flag(name: string): boolean {
    const value = this.#get(name)
    if (typeof value !== 'boolean') throw this.damaged(name)
    return value
  }

  optionalFlag(name: string): boolean {
    return this.#get(name) === undefined ? false : this.flag(name)
  }

  port(name: string): number | null {
    const value = this.#get(name)
    if (value === null) return null
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 65535) throw this.damaged(name)
    return value
  }

  texts(name: string): string[] {
    return this.#list(name).map((item) => {
      if (typeof item !== 'string') throw this.damaged(name)
      return item
    })
  }

  rules(name: string): ResolveRule[] {
    return this.#list(name).map((item) => {
      const rule = typeof item === 'string' ? parseResolveRule(item) : undefined
      if (rule === undefined) throw this.damaged(name)
      return rule
    })
  }

  urls(name: string): Urls {
    const value = this.#get(name)
    if (typeof value !== 'object' || value === null) throw this.damaged(name)
    return Object.fromEntries(
      Object.entries(value).map(([key, url]: [string, unknown]) => {
        if (typeof url !== 'string' || !isHttpsUrl(url)) throw this.damaged(`${name}.${key}`)
        return [key, url]
      }),
    )
  }

  name(field: string): DistinguishedName {
    return this.#list(field).map((part) => {
      if (!Array.isArray(part)) throw this.damaged(field)
      return part.map((attribute: unknown) => {
        if (typeof attribute !== 'object' || attribute === null) throw this.damaged(field)
        const [type, value] = [valueOf(attribute, 'type'), valueOf(attribute, 'value')]
        if (typeof type !== 'string' || typeof value !== 'string') throw this.damaged(field)
        return { type, value }
      })
    })
  }

  #list(name: string): unknown[] {
    const value = this.#get(name)
    if (!Array.isArray(value)) throw this.damaged(name)
    return value
  }

  #get(name: string): unknown {
    return valueOf(this.#fields, name)
  }
}
