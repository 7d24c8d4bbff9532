import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ServiceConflictError } from '../../src/errors.js'
import type { DesiredService } from '../../src/registry/desired-service.js'
import { contentLabel, labelsToSend, setLabel } from '../../src/registry/label.js'
import { type ListedService, setOf } from '../../src/registry/listed-service.js'
import { isWithoutParts, type Parts, partsOf } from '../../src/registry/parts.js'
import { type Plan, plan, type PlanOptions } from '../../src/registry/plan.js'
import { stepsOf, usualPlan } from '../support/apply.js'
import { asyncApi, documentation, type Given, openApi, secret, serviceOf } from '../support/services.js'

/** A service as the Registry lists it after these files were applied. */
function listedAs(service: DesiredService, set = 'shop', id = `id-of-${service.identifier}`): ListedService {
  const { provider, name, description } = service.content
  return {
    id,
    provider: textOf(provider),
    name: textOf(name),
    description: textOf(description),
    identifier: service.identifier,
    labels: { ...labelsToSend(service, set), 'connected-app': 'demo' },
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** A service that someone registered by hand. */
function unlabelled(identifier: string | undefined): ListedService {
  return { id: `id-of-${identifier ?? 'x'}`, provider: 'p', name: 'n', description: 'd', identifier, labels: {} }
}

function conflictsOf(make: () => Plan): readonly unknown[] {
  try {
    make()
  } catch (error) {
    if (!(error instanceof ServiceConflictError)) throw error
    return Object(error.details?.['conflicts']) as unknown[]
  }
  throw new Error('there is no conflict')
}

const orders = serviceOf('orders', { api: { spec: openApi }, labels: { team: 'a' } })
const only = (
  desired: DesiredService,
  listed: ListedService,
  options: Partial<PlanOptions> = {},
): Plan['steps'][number] => {
  const [step] = plan([desired], [listed], { ...usualPlan, ...options }).steps
  if (step === undefined) throw new Error('there is no step')
  return step
}

describe('a plan', () => {
  test('creates what is not registered, in the order of the files', () => {
    expect(stepsOf(plan([orders, serviceOf('a'), serviceOf('b')], [], usualPlan))).toEqual([
      'create orders',
      'create a',
      'create b',
    ])
  })

  test('leaves a service alone that is as it was applied', () => {
    expect(only(orders, listedAs(orders)).action).toBe('unchanged')
  })

  test.each<[string, Given]>([
    ['the spec', { api: { spec: asyncApi }, labels: { team: 'a' } }],
    ['a label', { api: { spec: openApi }, labels: { team: 'b' } }],
    ['the name', { api: { spec: openApi }, labels: { team: 'a' }, name: 'New' }],
    ['the target', { api: { spec: openApi, targetUrl: 'https://x.example' }, labels: { team: 'a' } }],
    [
      'a reference to a secret',
      { api: { spec: openApi, credentials: { basic: { username: secret('A') } } }, labels: { team: 'a' } },
    ],
  ])('updates a service of which %s has changed in the file', (_, given) => {
    const before = listedAs(orders)
    const step = only(serviceOf('orders', given), before)
    expect(step).toMatchObject({ action: 'update', reasons: ['changed'] })
  })

  test('does not depend on the order of fields and labels', () => {
    const first = serviceOf('a', { api: { spec: openApi, apiType: 'x' }, labels: { x: '1', y: '2' } })
    const { identifier, name, description, provider, api } = first.content
    const second = {
      ...first,
      labels: { y: '2', x: '1' },
      content: { ...(api === undefined ? {} : { api }), ...{ name, identifier, provider, description } },
    } as DesiredService
    expect(only(second, listedAs(first)).action).toBe('unchanged')
  })

  test.each<[string, Partial<ListedService>]>([
    ['name', { name: 'By hand' }],
    ['provider', { provider: 'By hand' }],
    ['description', { description: 'By hand' }],
    ['labels.team', { labels: { ...listedAs(orders).labels, team: 'by hand' } }],
    ['labels.new', { labels: { ...listedAs(orders).labels, new: 'by hand' } }],
  ])('updates a service of which %s was changed by hand, and names the field', (field, change) => {
    expect(only(orders, { ...listedAs(orders), ...change })).toMatchObject({
      action: 'update',
      reasons: ['drifted'],
      drifted: [field],
    })
  })

  test('finds no drift in a text that Go cannot keep', () => {
    const odd = serviceOf('odd', { name: 'half \ud800 a pair', labels: { 'a\udc00': '\ud800' } })
    const kept: ListedService = {
      ...listedAs(odd),
      name: 'half \ufffd a pair',
      labels: { ...labelsToSend(serviceOf('odd', { name: 'half \ud800 a pair' }), 'shop'), 'a\ufffd': '\ufffd' },
    }
    const labels = { ...kept.labels, [contentLabel]: labelsToSend(odd, 'shop')[contentLabel] ?? '' }
    expect(only(odd, { ...kept, labels }).action).toBe('unchanged')
  })

  test('updates a service whose content label another version has written', () => {
    const labels = { ...listedAs(orders).labels, [contentLabel]: 'v2.anything' }
    expect(only(orders, { ...listedAs(orders), labels })).toMatchObject({ action: 'update', reasons: ['changed'] })
  })

  test('writes services with credentials again on request, and no others', () => {
    const secured = serviceOf('secured', { api: { credentials: { basic: { username: secret('A') } } } })
    const steps = stepsOf(
      plan([orders, secured], [listedAs(orders), listedAs(secured)], { ...usualPlan, refreshCredentials: true }),
    )
    expect(steps).toEqual(['unchanged orders', 'update secured'])
  })

  test('reports all conflicts at once, with the places of the identifiers', () => {
    const desired = [serviceOf('by-hand'), serviceOf('fine'), serviceOf('theirs'), serviceOf('twice')]
    const listed = [
      unlabelled('by-hand'),
      listedAs(serviceOf('theirs'), 'other'),
      listedAs(serviceOf('twice')),
      listedAs(serviceOf('twice'), 'shop', 'second'),
    ]
    expect(conflictsOf(() => plan(desired, listed, usualPlan))).toMatchObject([
      { identifier: 'by-hand', problem: 'not in a set', ids: ['id-of-by-hand'], file: 'by-hand.yaml', line: 5 },
      { identifier: 'theirs', problem: 'in another set', set: 'other', file: 'theirs.yaml' },
      { identifier: 'twice', problem: 'registered twice', ids: ['id-of-twice', 'second'] },
    ])
  })

  test('takes over an unlabelled service with --adopt', () => {
    expect(only(serviceOf('by-hand'), unlabelled('by-hand'), { adopt: true })).toMatchObject({
      action: 'update',
      reasons: ['adopted'],
      drifted: [],
      changed: ['provider', 'name', 'description'],
    })
  })

  test('never takes over a service of another set, even with --adopt', () => {
    expect(
      conflictsOf(() =>
        plan([serviceOf('a')], [listedAs(serviceOf('a'), 'other')], { ...usualPlan, adopt: true, prune: true }),
      ),
    ).toHaveLength(1)
  })
})

describe('the last of spec, events and documentation', () => {
  test.each<[string, Given, (keyof Parts)[]]>([
    ['spec', { api: { spec: openApi } }, ['spec']],
    ['spec that the Registry fetches', { api: { specificationUrl: 'https://x.example' } }, ['spec']],
    ['OData spec', { api: { apiType: 'OData' } }, ['spec']],
    ['events', { api: {}, events: { spec: asyncApi } }, ['events']],
    ['documentation', { api: {}, documentation }, ['documentation']],
    [
      'parts',
      { api: { spec: openApi }, events: { spec: asyncApi }, documentation },
      ['spec', 'events', 'documentation'],
    ],
  ])('is taken away by a replacement: the %s', (_, given, lost) => {
    expect(only(serviceOf('a'), listedAs(serviceOf('a', given)))).toMatchObject({ action: 'replace', lost })
  })

  test('is not the last when another one stays: an update drops the rest', () => {
    const before = serviceOf('a', { api: { spec: openApi }, events: { spec: asyncApi }, documentation })
    expect(only(serviceOf('a', { api: {}, documentation }), listedAs(before)).action).toBe('update')
  })

  test('is taken from what was read rather than from the label', () => {
    const before = listedAs(serviceOf('a', { api: { spec: openApi } }))
    const stored = { spec: false, events: false, documentation: false }
    const read = (parts: Parts): string[] =>
      stepsOf(plan([serviceOf('a')], [before], usualPlan, new Map([[before.id, { parts, differences: [] }]])))
    expect(read(stored)).toEqual(['update a'])
    expect(read({ ...stored, documentation: true })).toEqual(['replace a'])
  })
})

describe('--prune', () => {
  const gone = listedAs(serviceOf('gone'))
  const foreign = listedAs(serviceOf('foreign'), 'other')
  const listed = [gone, foreign, unlabelled('by-hand'), unlabelled(undefined)]

  test('deletes what the files do not describe, within the set alone, and last', () => {
    expect(stepsOf(plan([orders], listed, { ...usualPlan, prune: true }))).toEqual(['create orders', 'delete gone'])
  })

  test('deletes nothing when the files describe nothing', () => {
    expect(plan([], listed, { ...usualPlan, prune: true }).steps).toEqual([])
  })

  test('is off unless it is asked for', () => {
    expect(stepsOf(plan([orders], listed, usualPlan))).toEqual(['create orders'])
  })
})

/** A model of the Registry: what it lists, and the parts that it stores (docs/contract.md §9). */
interface Stored {
  readonly listed: ListedService
  readonly parts: Parts
}

let ids = 0

/** Does to the model what applying a plan does to the Registry. */
function applyToModel({ set, steps }: Plan, model: readonly Stored[]): readonly Stored[] {
  let stored = [...model]
  const sent = (service: DesiredService, id: string): Stored => ({
    listed: listedAs(service, set, id),
    parts: partsOf(service),
  })
  const put = (service: DesiredService, { listed, parts }: Stored): Stored => {
    const after = sent(service, listed.id)
    return isWithoutParts(after.parts) ? { ...after, parts } : after
  }
  for (const step of steps) {
    if (step.action === 'create') stored.push(sent(step.service, `new-${++ids}`))
    if (step.action === 'update')
      stored = stored.map((one) => (one.listed.id === step.listed.id ? put(step.service, one) : one))
    if (step.action === 'replace' || step.action === 'delete')
      stored = stored.filter(({ listed }) => listed.id !== step.listed.id)
    if (step.action === 'replace') stored.push(sent(step.service, `new-${++ids}`))
  }
  return stored
}

const identifier = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const given: fc.Arbitrary<Given> = fc.record(
  {
    name: fc.constantFrom('One', 'Two'),
    labels: fc.dictionary(fc.constantFrom('x', 'y', '__proto__', 'constructor'), fc.constantFrom('', '1', '2')),
    api: fc.constantFrom(
      {},
      { spec: openApi },
      { apiType: 'odata' },
      { credentials: { basic: { username: secret('A') } } },
    ),
    events: fc.constantFrom({ spec: asyncApi }),
    documentation: fc.constant(documentation),
  },
  { requiredKeys: [] },
)
const service = fc.tuple(identifier, given).map(([name, more]) => serviceOf(name, more))
const files = fc.uniqueArray(service, { selector: (one) => one.identifier })
/** Registered by us in any set, or by hand with or without an identifier, and perhaps changed by hand. */
const registered: fc.Arbitrary<Stored> = fc
  .record({
    service,
    set: fc.constantFrom('shop', 'shop', 'other', undefined),
    byHand: fc.constantFrom(undefined, undefined, 'Renamed'),
    hasIdentifier: fc.boolean(),
  })
  .map(({ service: one, set, byHand, hasIdentifier }) => {
    const listed = listedAs(one, set ?? 'shop', `old-${++ids}`)
    const name = byHand ?? listed.name
    if (set !== undefined) return { listed: { ...listed, name }, parts: partsOf(one) }
    const withoutSet = { ...listed, name, labels: {}, identifier: hasIdentifier ? one.identifier : undefined }
    return { listed: withoutSet, parts: partsOf(one) }
  })
const registry = fc.uniqueArray(registered, { selector: ({ listed }) => listed.identifier ?? listed.id })
const options = fc.record({
  set: fc.constant('shop'),
  adopt: fc.boolean(),
  prune: fc.boolean(),
  refreshCredentials: fc.boolean(),
  full: fc.constant(false),
})

/** The plan, with the parts read as planServices reads them; undefined where there are conflicts. */
function planOrConflict(
  desired: readonly DesiredService[],
  model: readonly Stored[],
  all: PlanOptions,
): Plan | undefined {
  try {
    const stored = new Map(model.map(({ listed, parts }) => [listed.id, { parts, differences: [] }]))
    return plan(
      desired,
      model.map(({ listed }) => listed),
      all,
      stored,
    )
  } catch (error) {
    if (error instanceof ServiceConflictError) return undefined
    throw error
  }
}

describe('for any files and any Registry, a plan', () => {
  const property = (check: (desired: DesiredService[], model: readonly Stored[], all: PlanOptions) => void): void => {
    fc.assert(fc.property(files, registry, options, check), { numRuns: 2000 })
  }

  test('leads to exactly what the files say, and the second plan changes nothing', () => {
    let applied = 0
    property((desired, model, all) => {
      const first = planOrConflict(desired, model, all)
      if (first === undefined) return
      applied++
      const after = applyToModel(first, model)
      for (const one of desired) {
        const found = after.filter(({ listed }) => listed.identifier === one.identifier)
        expect(found).toHaveLength(1)
        expect(found[0]).toEqual({ listed: listedAs(one, 'shop', found[0]?.listed.id), parts: partsOf(one) })
      }
      const second = planOrConflict(desired, after, { ...all, refreshCredentials: false })
      expect(second?.steps.map(({ action }) => action)).toEqual(desired.map(() => 'unchanged'))
    })
    // The property means nothing when most inputs are conflicts.
    expect(applied).toBeGreaterThan(500)
  })

  test('never touches a service of another set, and one without a set only to adopt it', () => {
    property((desired, model, all) => {
      const after = applyToModel(planOrConflict(desired, model, all) ?? { set: 'shop', steps: [] }, model)
      const wanted = new Set(desired.map((one) => one.identifier))
      for (const before of model) {
        const set = setOf(before.listed)
        const isAdopted = all.adopt && set === undefined && wanted.has(before.listed.identifier ?? '')
        if (set === 'shop' || isAdopted) continue
        expect(after).toContainEqual(before)
      }
    })
  })

  test('deletes only with --prune, only in the set, only what no file describes, and nothing for no files', () => {
    property((desired, model, all) => {
      const wanted = new Set(desired.map((one) => one.identifier))
      const deleted = (planOrConflict(desired, model, all)?.steps ?? []).flatMap((step) =>
        step.action === 'delete' ? [step.listed] : [],
      )
      if (!all.prune || desired.length === 0) expect(deleted).toEqual([])
      for (const { labels, identifier: name } of deleted) {
        expect(labels[setLabel]).toBe('shop')
        expect(wanted.has(name ?? '')).toBe(false)
      }
    })
  })

  test('is in conflict exactly when an identifier belongs to someone else', () => {
    property((desired, model, all) => {
      const isTaken = model.some(({ listed }) => {
        const set = setOf(listed)
        const isWanted = desired.some((one) => one.identifier === listed.identifier)
        return isWanted && set !== 'shop' && !(all.adopt && set === undefined)
      })
      expect(planOrConflict(desired, model, all) === undefined).toBe(isTaken)
    })
  })
})
