import { createHash } from 'node:crypto'
import { type Content, RawJson, SecretReference } from './content.js'
import { isList, objectIn } from './content-fields.js'
import type { DesiredService } from './desired-service.js'

/**
 * A digest of what a service file says: half of a SHA-256, in hex. Secrets are in it as references, so it tells nothing about them and
 * does not change when they do. The order of fields and labels does not matter.
 */
export function contentDigest({ content, labels }: DesiredService): string {
  const hash = createHash('sha256')
  hash.update(canonical({ content, labels }))
  return hash.digest('hex').slice(0, 32)
}

/** One text for one content: fields sorted; the kinds of text that are not plain strings are marked. */
function canonical(value: Content): string {
  if (value instanceof RawJson) return `raw${JSON.stringify(value.text)}`
  if (value instanceof SecretReference) return `secret${JSON.stringify(value.text)}`
  if (isList(value)) return `[${value.map(canonical).join(',')}]`
  const fields = objectIn(value)
  if (fields === undefined) return JSON.stringify(value)
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`).join(',')}}`
}
