import { ServiceConflictError } from '../errors.js'
import { referencesIn } from './body.js'
import type { RegistryClient } from './client.js'
import { compareStored } from './compare.js'
import type { DesiredService } from './desired-service.js'
import { contentDigest } from './digest.js'
import { listedDifferences } from './listed-differences.js'
import { type ListedService, rememberedOf, setOf } from './listed-service.js'
import { inParallel } from './in-parallel.js'
import { isWithoutParts, type Parts, partsOf } from './parts.js'
import { formatPlace } from './place.js'
import { storedParts } from './registered-service.js'

/** How files are brought and registered services are compared. */
export interface PlanOptions {
  /** The name of the set that the services belong to. */
  readonly set: string
  /** Take over services with the same identifier that belong to no set. */
  readonly adopt: boolean
  /** Delete services of the set that the files do not describe; never any when the files describe none. */
  readonly prune: boolean
  /** Write all services with credentials again, because the secrets may have changed. */
  readonly refreshCredentials: boolean
  /** Read every registered service that a file describes, and compare all that the Registry returns, not only what its list has. */
  readonly full: boolean
}

/** Requests at a time, where nothing else is said. */
export const defaultConcurrency = 8

/**
 * Why a registered service is written again: the file changed since it was applied; a field was changed by hand; it did not
 * belong to a set; its credentials are written again on request.
 */
export type Reason = 'changed' | 'drifted' | 'adopted' | 'credentials'

/** One line of a plan. */
export type Step =
  | { readonly action: 'create'; readonly service: DesiredService }
  | ({ readonly action: 'update' } & Rewrite)
  /** Deleted and created: it gets a new id, and bindings to it break. `lost` are the parts that a PUT would not take away. */
  | ({ readonly action: 'replace'; readonly lost: readonly (keyof Parts)[] } & Rewrite)
  | { readonly action: 'unchanged'; readonly service: DesiredService; readonly listed: ListedService }
  | { readonly action: 'delete'; readonly listed: ListedService }

export interface Rewrite {
  readonly service: DesiredService
  readonly listed: ListedService
  readonly reasons: readonly Reason[]
  /**
   * The fields that differ although the file is what was applied last: they were changed by hand. As `name`, `labels.team` or
   * `api.targetUrl`; a specification is one field.
   */
  readonly drifted: readonly string[]
  /**
   * The fields that differ where the file is not what was applied last. A field that was changed by hand as well cannot be distinguished. Without
   * `full` only those that the list has; a changed credential never shows.
   */
  readonly changed: readonly string[]
}

export type Action = Step['action']

/** What has to be done, in the order of the files; deletions last, in the order of the list. */
export interface Plan {
  readonly set: string
  readonly steps: readonly Step[]
}

/** Whether applying a plan would change anything. */
export function hasChanges({ steps }: Plan): boolean {
  return steps.some(({ action }) => action !== 'unchanged')
}

/**
 * Compares the files with the Registry: one request, and one more for each service whose parts must be known and are not remembered;
 * with `full`, one for each that a file describes.
 * @throws ServiceConflictError, and what RegistryClient throws
 */
export async function planServices(
  client: RegistryClient,
  desired: readonly DesiredService[],
  options: PlanOptions,
  concurrency = defaultConcurrency,
): Promise<Plan> {
  const listed = await client.list()
  const first = plan(desired, listed, options)
  const known = new Map<string, Known>()
  const matched = first.steps.flatMap((step) => (step.action === 'create' || step.action === 'delete' ? [] : [step]))
  const read = options.full ? matched : matched.filter(hasUncertainParts)
  await inParallel(read, concurrency, async ({ service, listed: { id } }) => {
    const found = await client.get(id)
    if (found === undefined) return
    const differences = options.full ? compareStored(service, found).map(({ path }) => nameOfField(path)) : []
    known.set(id, { parts: storedParts(found), differences })
  })
  return plan(desired, listed, options, known)
}

/** A specification counts as one field: it can differ in thousands of places. */
function nameOfField(path: readonly (string | number)[]): string {
  return (path[1] === 'spec' ? path.slice(0, 2) : path).join('.')
}

/** What is known of a service that was read. */
export interface Known {
  readonly parts: Parts
  /** The fields that differ from the file; empty where nothing was compared. */
  readonly differences: readonly string[]
}

/**
 * Compares the files with the Registry's list. Services are matched by their identifiers.
 * @param known services that were read, by id; of others, only what the list and their labels say is known
 * @throws ServiceConflictError with all conflicts
 */
export function plan(
  desired: readonly DesiredService[],
  listed: readonly ListedService[],
  options: PlanOptions,
  known: ReadonlyMap<string, Known> = new Map(),
): Plan {
  const byIdentifier = new Map<string, ListedService[]>()
  for (const service of listed) {
    if (service.identifier === undefined) continue
    const others = byIdentifier.get(service.identifier)
    if (others === undefined) byIdentifier.set(service.identifier, [service])
    else others.push(service)
  }
  const found: Conflict[] = []
  const steps: Step[] = []
  for (const service of desired) {
    const matches = byIdentifier.get(service.identifier) ?? []
    const [match] = matches
    if (match === undefined) {
      steps.push({ action: 'create', service })
      continue
    }
    const conflict = conflictOf(service, matches, options)
    if (conflict === undefined) steps.push(compare(service, match, options, known.get(match.id)))
    else found.push(conflict)
  }
  if (found.length > 0) throw conflictError(found, options.set)
  return { set: options.set, steps: [...steps, ...deletions(desired, listed, options)] }
}

function deletions(
  desired: readonly DesiredService[],
  listed: readonly ListedService[],
  { prune, set }: PlanOptions,
): Step[] {
  if (!prune || desired.length === 0) return []
  const wanted = new Set(desired.map(({ identifier }) => identifier))
  return listed
    .filter((service) => setOf(service) === set && !wanted.has(service.identifier ?? ''))
    .map((service) => ({ action: 'delete', listed: service }))
}

function compare(
  service: DesiredService,
  listed: ListedService,
  { refreshCredentials }: PlanOptions,
  known: Known | undefined,
): Step {
  const isOurs = setOf(listed) !== undefined
  const remembered = rememberedOf(listed)
  const isChanged = remembered?.digest !== contentDigest(service)
  const differing = differencesOf(service, listed, known)
  const [drifted, changed] = isOurs && !isChanged ? [differing, []] : [[], differing]
  const reasons: Reason[] = [
    ...(isOurs ? [] : (['adopted'] as const)),
    ...(isOurs && isChanged ? (['changed'] as const) : []),
    ...(drifted.length > 0 ? (['drifted'] as const) : []),
    ...(refreshCredentials && referencesIn(service).length > 0 ? (['credentials'] as const) : []),
  ]
  if (reasons.length === 0) return { action: 'unchanged', service, listed }
  const rewrite = { service, listed, reasons, drifted, changed }
  const parts = known?.parts ?? remembered?.parts
  if (parts === undefined || isWithoutParts(parts) || !isWithoutParts(partsOf(service)))
    return { action: 'update', ...rewrite }
  return { action: 'replace', lost: partNames.filter((name) => parts[name]), ...rewrite }
}

function differencesOf(service: DesiredService, listed: ListedService, known: Known | undefined): readonly string[] {
  return [...new Set([...listedDifferences(service, listed), ...(known?.differences ?? [])])]
}

const partNames = ['spec', 'events', 'documentation'] as const

/**
 * Whether the parts of a registered service decide between an update and a replacement, and are not known for sure: the labels do not say, or
 * they say that something would be lost, which is worth a look before bindings break, or somebody has changed the service since.
 */
function hasUncertainParts(step: Step): boolean {
  if (step.action !== 'update' && step.action !== 'replace') return false
  if (!isWithoutParts(partsOf(step.service))) return false
  const parts = rememberedOf(step.listed)?.parts
  if (parts === undefined || !isWithoutParts(parts)) return true
  return step.reasons.includes('drifted') || step.reasons.includes('adopted')
}

interface Conflict {
  readonly service: DesiredService
  readonly ids: readonly string[]
  readonly problem: 'not in a set' | 'in another set' | 'registered twice'
  readonly set: string | undefined
}

function conflictOf(
  service: DesiredService,
  matches: readonly ListedService[],
  { set, adopt }: PlanOptions,
): Conflict | undefined {
  const conflict = { service, ids: matches.map(({ id }) => id) }
  const sets = matches.map(setOf)
  const other = sets.find((name) => name !== undefined && name !== set)
  if (other !== undefined) return { ...conflict, problem: 'in another set', set: other }
  if (matches.length > 1) return { ...conflict, problem: 'registered twice', set: undefined }
  if (!adopt && sets.includes(undefined)) return { ...conflict, problem: 'not in a set', set: undefined }
  return undefined
}

function conflictError(conflicts: readonly Conflict[], set: string): ServiceConflictError {
  const texts = conflicts.map(describe)
  const [first = ''] = texts
  const problems = new Set(conflicts.map(({ problem }) => problem))
  const hints: Record<Conflict['problem'], string> = {
    'not in a set': `to take over services that belong to no set, add --adopt`,
    'in another set': `give the service another identifier, or apply the files of its set instead of "${set}"`,
    'registered twice': 'look at both, and delete one: kyconnect services delete <id>',
  }
  return new ServiceConflictError(
    conflicts.length === 1 ? first : `${conflicts.length} identifiers cannot be used: ${texts.join('; ')}`,
    {
      details: {
        conflicts: conflicts.map(({ service, ids, problem, set: owner }) => ({
          identifier: service.identifier,
          ids,
          problem,
          ...(owner === undefined ? {} : { set: owner }),
          ...service.placeOf(['identifier']),
        })),
      },
      hints: [...problems].map((problem) => hints[problem]),
    },
  )
}

function describe({ service, ids, problem, set }: Conflict): string {
  const which = `the identifier "${service.identifier}" (${formatPlace(service.placeOf(['identifier']))})`
  switch (problem) {
    case 'not in a set':
      return `${which} is in use: the service ${ids.join(', ')} was not registered from files`
    case 'in another set':
      return `${which} is in use: the service ${ids.join(', ')} belongs to the set "${set ?? ''}"`
    case 'registered twice':
      return `${which} is registered ${ids.length} times: ${ids.join(', ')}`
  }
}
