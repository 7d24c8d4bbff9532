import { ServicesDifferError } from '../../../errors.js'
import { oneLine } from '../../../redaction.js'
import type { RegistryClient } from '../../../registry/client.js'
import { compareStored, type Difference } from '../../../registry/compare.js'
import { inParallel } from '../../../registry/in-parallel.js'
import { chooseSet } from '../../../registry/label.js'
import { formatPlace } from '../../../registry/place.js'
import { hasChanges, type Plan, planServices, type Step } from '../../../registry/plan.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import { styleFor } from '../../output/style.js'
import { formatPlan, planDocument } from './plan-report.js'
import { type RegistryOptions, withRegistry } from './registry-session.js'
import { readFiles } from './service-files.js'

/** The flags of the command, as they are given. */
export interface DiffOptions extends RegistryOptions {
  readonly file: readonly string[]
  readonly set?: string
  readonly prune?: true
  readonly full?: true
}

/** Services that are read at a time by --full. */
const concurrency = 8

export async function runDiff(options: DiffOptions, context: Context): Promise<void> {
  const { stdout, runtime } = context
  const json = options.json === true
  const services = await readFiles(options.file, json, context)
  const set = chooseSet(options.set, services)
  await withRegistry(options, context, async ({ registry: { client }, identity }) => {
    const { app } = identity.metadata
    const plan = await planServices(client, services, {
      set,
      // A comparison shows what --adopt would do, too.
      adopt: true,
      prune: options.prune === true,
      refreshCredentials: false,
    })
    const found = options.full === true ? await compareAll(plan, client) : []
    if (json) await stdout.write(jsonLine({ ...planDocument(plan), differences: found.map(documentOf) }))
    else
      await stdout.write(
        found.map((each) => `${describe(each)}\n`).join('') +
          formatPlan(plan, app, styleFor(stdout, runtime.environment)),
      )
    if (!hasChanges(plan) && found.length === 0) return
    throw new ServicesDifferError(
      hasChanges(plan)
        ? `the App "${app}" is not as the files say`
        : `${found.length === 1 ? 'a field' : `${found.length} fields`} in the Registry differ from the files, although kyconnect changed nothing since`,
      {
        hints: [
          hasChanges(plan)
            ? 'make it so: kyconnect services apply, with the same flags'
            : 'apply writes a service again when its file changes; to write it now, delete it first: kyconnect services delete <identifier>',
        ],
      },
    )
  })
}

interface Found {
  readonly step: Extract<Step, { action: 'unchanged' }>
  readonly difference: Difference
}

/** Reads what the plan leaves unchanged, and compares all that the Registry returns. */
async function compareAll({ steps }: Plan, client: RegistryClient): Promise<Found[]> {
  const unchanged = steps.flatMap((step) => (step.action === 'unchanged' ? [step] : []))
  const found = new Map<Step, Found[]>()
  await inParallel(unchanged, concurrency, async (step) => {
    const registered = await client.get(step.listed.id)
    if (registered === undefined) return
    found.set(
      step,
      compareStored(step.service, registered).map((difference) => ({ step, difference })),
    )
  })
  return unchanged.flatMap((step) => found.get(step) ?? [])
}

function describe({ step: { service }, difference: { path, kind } }: Found): string {
  const place = formatPlace(service.placeOf(path))
  return oneLine(`${place}: ${service.identifier}: ${path.join('.')} ${kind} in the Registry`)
}

function documentOf({ step: { service, listed }, difference: { path, kind } }: Found): object {
  return { identifier: service.identifier, id: listed.id, field: path.join('.'), kind, place: service.placeOf(path) }
}
