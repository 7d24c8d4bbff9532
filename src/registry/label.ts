import type { DesiredService } from './desired-service.js'
import { contentDigest } from './digest.js'
import { type Parts, partsOf } from './parts.js'

/** The labels on every service that kyconnect registers; the Registry's list returns them (docs/contract.md §9). */
export const setLabel = 'kyconnect-set'
export const contentLabel = 'kyconnect-content'
/** The Registry adds this one to every service (docs/contract.md §9). */
const appLabel = 'connected-app'

export const defaultSet = 'default'

/** Labels that a service file must not give: the Registry or kyconnect sets them. */
export function isReservedLabel(name: string): boolean {
  return name === appLabel || name.startsWith('kyconnect-')
}

/** Whether a set can have this name: it has the form of a Kubernetes label's value. */
export function isSetName(name: string): boolean {
  return name.length <= 63 && /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(name)
}

/** What is remembered in a service's labels: what was sent last. */
export interface Remembered {
  readonly parts: Parts
  readonly digest: string
}

/** `v1.se-.<digest>`: the version of the form, the parts (spec, events, documentation), the digest of the content. */
export function formatRemembered(service: DesiredService): string {
  const { spec, events, documentation } = partsOf(service)
  return `v1.${spec ? 's' : '-'}${events ? 'e' : '-'}${documentation ? 'd' : '-'}.${contentDigest(service)}`
}

/** Reads {@link formatRemembered}; undefined for any other text. */
export function parseRemembered(text: string): Remembered | undefined {
  const [, parts, digest] = /^v1\.([s-][e-][d-])\.([0-9a-f]{32})$/.exec(text) ?? []
  if (parts === undefined || digest === undefined) return undefined
  return {
    parts: { spec: parts[0] === 's', events: parts[1] === 'e', documentation: parts[2] === 'd' },
    digest,
  }
}

/** All labels that a service is sent with. */
export function labelsToSend(service: DesiredService, set: string): Readonly<Record<string, string>> {
  return { ...provisionalLabels(service, set), [contentLabel]: formatRemembered(service) }
}

/** The labels without what was applied: the next run finds the service changed, and writes it. */
export function provisionalLabels(service: DesiredService, set: string): Readonly<Record<string, string>> {
  return { ...service.labels, [setLabel]: set }
}

/** The labels of a registered service that a service file could give. */
export function ownLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !isReservedLabel(name)))
}
