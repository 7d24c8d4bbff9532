import { createHash, hash } from 'node:crypto'

/** Any version, capitals too: the service takes them all (docs/contract.md §10). */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)
}

/**
 * The id of an event that has none: the same for the same line in each run with this seed, and different for any other line (UUID version
 * 8, RFC 9562 §5.8). It does not change when an earlier line is corrected in its place.
 * @param seed random, and stored with the checkpoint
 * @param number of the line in its input
 */
export function deriveEventId(seed: string, number: number): string {
  return formatUuid(hash('sha256', `${seed}/${number}`, 'hex'), '8')
}

/** The namespace of URLs (RFC 9562 §6.6): a CloudEvent's source is a URI reference. */
const urlNamespace = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex')
const maxNamespaces = 1000

/**
 * UUIDs for CloudEvents whose ids are not UUIDs. Source and id together identify a CloudEvent, so the UUID is
 * `uuid5(uuid5(URL, source), id)` (RFC 9562 §5.5): another program can calculate it as well.
 */
export class CloudEventIds {
  readonly #namespaces = new Map<string, Buffer>()

  derive(source: string, id: string): string {
    return uuid5(this.#namespaceOf(source), id)
  }

  #namespaceOf(source: string): Buffer {
    const known = this.#namespaces.get(source)
    if (known !== undefined) return known
    const namespace = Buffer.from(uuid5(urlNamespace, source).replaceAll('-', ''), 'hex')
    // An input with ever new sources does not fill the memory.
    if (this.#namespaces.size >= maxNamespaces) this.#namespaces.clear()
    this.#namespaces.set(source, namespace)
    return namespace
  }
}

function uuid5(namespace: Buffer, name: string): string {
  return formatUuid(createHash('sha1').update(namespace).update(name).digest('hex'), '5')
}

/** Writes the first 16 bytes of a hash as a UUID, with version and variant in their places. */
function formatUuid(hex: string, version: string): string {
  const variant = '89ab'[Number.parseInt(hex[16] ?? '0', 16) & 3] ?? '8'
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${version}${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
