import { IdentityUnusableError } from '../errors.js'
import type { DistinguishedName } from '../pki/distinguished-name.js'
import { formatResolveRule, parseResolveRule, type ResolveRule } from '../transport/route.js'
import { formatVersion, type Metadata, type Pending, type Urls } from './identity.js'

/** The JSON of identity.json. The server's CA lies beside it as PEM. */
export function formatMetadata(metadata: Metadata): string {
  const { route, notBefore, notAfter, pairedAt, ...plain } = metadata
  return toJson({
    ...plain,
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    pairedAt: pairedAt.toISOString(),
    nodePort: route.nodePort,
    resolve: route.resolve.map(formatResolveRule),
  })
}

/** @throws IdentityUnusableError when the file is damaged or of a newer format */
export function parseMetadata(json: string, place: string, serverCa: string | null): Metadata {
  const read = new Reader(json, place)
  return {
    profile: read.text('profile'),
    app: read.text('app'),
    commonName: read.text('commonName'),
    subject: read.text('subject'),
    fingerprint: read.text('fingerprint'),
    notBefore: read.date('notBefore'),
    notAfter: read.date('notAfter'),
    gatewayHost: read.text('gatewayHost'),
    acceptedHosts: read.texts('acceptedHosts'),
    connectorHost: read.text('connectorHost'),
    urls: read.urls('urls'),
    route: { nodePort: read.port('nodePort'), resolve: read.rules('resolve'), serverCa },
    insecure: read.flag('insecure'),
    pairedAt: read.date('pairedAt'),
  }
}

/** The JSON of pending/pairing.json. Key and CA lie beside it as PEM. */
export function formatPending(pending: Pending): string {
  const { profile, csrUrl, subject, app, commonName, gatewayHost, connectorHost, urls, route, insecure, createdAt } =
    pending
  return toJson({
    profile,
    csrUrl: csrUrl.href,
    subject,
    app,
    commonName,
    gatewayHost,
    connectorHost,
    urls,
    insecure,
    createdAt: createdAt.toISOString(),
    nodePort: route.nodePort,
    resolve: route.resolve.map(formatResolveRule),
  })
}

/** @throws IdentityUnusableError when the file is damaged or of a newer format */
export function parsePending(json: string, place: string, key: Pending['key'], serverCa: string | null): Pending {
  const read = new Reader(json, place)
  const csrUrl = read.text('csrUrl')
  if (!URL.canParse(csrUrl)) throw read.damaged('csrUrl')
  return {
    profile: read.text('profile'),
    csrUrl: new URL(csrUrl),
    subject: read.name('subject'),
    app: read.text('app'),
    commonName: read.text('commonName'),
    gatewayHost: read.text('gatewayHost'),
    connectorHost: read.text('connectorHost'),
    urls: read.urls('urls'),
    route: { nodePort: read.port('nodePort'), resolve: read.rules('resolve'), serverCa },
    insecure: read.flag('insecure'),
    createdAt: read.date('createdAt'),
    key,
  }
}

function toJson(fields: object): string {
  return `${JSON.stringify({ formatVersion, ...fields }, null, 2)}\n`
}

/** Reads one file's fields; anything that is not as it should be names the field and the file. */
class Reader {
  readonly #fields: object
  readonly #place: string

  constructor(json: string, place: string) {
    this.#place = place
    let parsed: unknown
    try {
      parsed = JSON.parse(json)
    } catch {
      throw this.damaged('JSON')
    }
    if (typeof parsed !== 'object' || parsed === null) throw this.damaged('JSON')
    this.#fields = parsed
    const version = this.#get('formatVersion')
    if (typeof version !== 'number') throw this.damaged('formatVersion')
    if (version > formatVersion) {
      throw new IdentityUnusableError(`${place} is of format ${version}; this program reads up to ${formatVersion}`, {
        hints: ['it was written by a newer kyconnect: install that version'],
      })
    }
  }

  damaged(what: string): IdentityUnusableError {
    return new IdentityUnusableError(`${this.#place} is damaged: ${what} is not as it should be`)
  }

  text(name: string): string {
    const value = this.#get(name)
    if (typeof value !== 'string' || value === '') throw this.damaged(name)
    return value
  }

  date(name: string): Date {
    const value = new Date(this.text(name))
    if (Number.isNaN(value.getTime())) throw this.damaged(name)
    return value
  }

  flag(name: string): boolean {
    const value = this.#get(name)
    if (typeof value !== 'boolean') throw this.damaged(name)
    return value
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
        if (typeof url !== 'string' || !URL.canParse(url) || new URL(url).protocol !== 'https:')
          throw this.damaged(`${name}.${key}`)
        return [key, url]
      }),
    )
  }

  name(field: string): DistinguishedName {
    return this.#list(field).map((part) => {
      if (!Array.isArray(part)) throw this.damaged(field)
      return part.map((attribute: unknown) => {
        if (typeof attribute !== 'object' || attribute === null) throw this.damaged(field)
        const type: unknown = Reflect.get(attribute, 'type')
        const value: unknown = Reflect.get(attribute, 'value')
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
    return Reflect.get(this.#fields, name)
  }
}
