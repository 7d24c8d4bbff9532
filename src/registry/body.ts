import { type Content, RawJson, SecretReference } from './content.js'
import { isList, objectIn } from './content-fields.js'
import type { DesiredService } from './desired-service.js'
import { labelsToSend, provisionalLabels } from './label.js'

/** What the gateway takes at most (docs/contract.md §7). */
export const maxBodyBytes = 5 * 1024 * 1024

/** Gives the secret that a reference names. */
export type Secrets = (reference: SecretReference) => string

/** The JSON that registers a service. Specs are in it byte by byte as they are. */
export function requestBody(service: DesiredService, set: string, secretOf: Secrets): string {
  return json({ ...service.content, labels: labelsToSend(service, set) }, secretOf)
}

/** The same body for a service that is not as its file says yet. */
export function provisionalBody(service: DesiredService, set: string, secretOf: Secrets): string {
  return json({ ...service.content, labels: provisionalLabels(service, set) }, secretOf)
}

/** The sizes in bytes of the parts of a service that can be large, the largest first. */
export function partSizes({ content }: DesiredService): { path: readonly string[]; bytes: number }[] {
  const parts: [readonly string[], Content | undefined][] = [
    [['api', 'spec'], objectIn(content['api'])?.['spec']],
    [['events', 'spec'], objectIn(content['events'])?.['spec']],
    [['documentation'], content['documentation']],
  ]
  return parts
    .flatMap(([path, part]) => (part === undefined ? [] : [{ path, bytes: Buffer.byteLength(json(part, () => '')) }]))
    .sort((a, b) => b.bytes - a.bytes)
}

/** Every secret that a service names, with the field that names it. */
export function referencesIn(
  service: DesiredService,
): { path: readonly (string | number)[]; reference: SecretReference }[] {
  const found: { path: readonly (string | number)[]; reference: SecretReference }[] = []
  const visit = (value: Content, path: readonly (string | number)[]): void => {
    if (value instanceof SecretReference) found.push({ path, reference: value })
    else if (isList(value))
      value.forEach((item, index) => {
        visit(item, [...path, index])
      })
    else
      for (const [name, item] of Object.entries(objectIn(value) ?? {})) {
        visit(item, [...path, name])
      }
  }
  visit(service.content, [])
  return found
}

function json(value: Content, secretOf: Secrets): string {
  if (value instanceof RawJson) return value.text
  if (value instanceof SecretReference) return JSON.stringify(secretOf(value))
  if (isList(value)) return `[${value.map((item) => json(item, secretOf)).join(',')}]`
  const fields = objectIn(value)
  if (fields === undefined) return JSON.stringify(value)
  const members = Object.entries(fields).map(([name, item]) => `${JSON.stringify(name)}:${json(item, secretOf)}`)
  return `{${members.join(',')}}`
}
