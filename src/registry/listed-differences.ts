import type { DesiredService } from './desired-service.js'
import { isReservedLabel, ownLabels } from './label.js'
import type { ListedService } from './listed-service.js'

/** The fields in which a list's entry differs from what the file says. */
export function listedDifferences(service: DesiredService, listed: ListedService): readonly string[] {
  const fields = (['provider', 'name', 'description'] as const).filter(
    (field) => asStored(service.content[field]) !== listed[field],
  )
  const wanted = new Map(Object.entries(service.labels).map(([name, value]) => [asStored(name), asStored(value)]))
  const present = new Map(Object.entries(ownLabels(listed.labels)))
  const labels = [...new Set([...wanted.keys(), ...present.keys()])].filter(
    (name) => !isReservedLabel(name) && wanted.get(name) !== present.get(name),
  )
  return [...fields, ...labels.sort().map((name) => `labels.${name}`)]
}

/** A text as it comes back: Go reads half of a surrogate pair as U+FFFD. */
function asStored(value: unknown): string {
  return typeof value === 'string' ? value.replace(/\p{Surrogate}/gu, '\uFFFD') : ''
}
