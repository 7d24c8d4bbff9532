import { ConfirmationNeededError } from '../../../errors.js'
import { oneLine } from '../../../redaction.js'
import type { Registry } from '../../../kyconnect.js'
import { checkReplacements, type PreparedPlan } from '../../../registry/apply.js'
import { defaultConcurrency, hasChanges, planServices } from '../../../registry/plan.js'
import { type Applied, errorOf, problemDocument } from '../../../registry/result.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import { styleFor } from '../../output/style.js'
import { confirm } from '../../prompts.js'
import { startCounter } from '../../output/counter.js'
import { parseCount } from '../../route-choice.js'
import { actions, formatPlan, planDocument } from './plan-report.js'
import { type RegistryOptions, type RegistrySession, withRegistry } from './registry-session.js'
import { readFiles, showingProblems, showProblems, warnOfTargetUrls } from './service-files.js'

/** The flags of the command, as they are given. */
export interface ApplyOptions extends RegistryOptions {
  readonly file: readonly string[]
  readonly set?: string
  readonly prune?: true
  readonly full?: true
  readonly dryRun?: true
  readonly yes?: true
  readonly adopt?: true
  readonly replace?: true
  readonly refreshCredentials?: true
  readonly concurrency?: string
}

const maxConcurrency = 64

export async function runApply(options: ApplyOptions, context: Context): Promise<void> {
  const { stdout, runtime } = context
  const json = options.json === true
  const concurrency = parseConcurrency(options.concurrency)
  const { services, set } = await readFiles(options, context)
  const work = async ({ registry, identity, progress }: RegistrySession): Promise<void> => {
    const { app } = identity.metadata
    warnOfTargetUrls(services, progress.emit)
    const plan = await planServices(registry.client, services, {
      set,
      adopt: options.adopt === true,
      prune: options.prune === true,
      refreshCredentials: options.refreshCredentials === true,
      full: options.full === true,
    })
    if (!json) await stdout.write(formatPlan(plan, app, styleFor(stdout, runtime.environment)))
    const isForShow = options.dryRun === true || !hasChanges(plan)
    if (isForShow) {
      if (json) await stdout.write(jsonLine(planDocument(plan)))
      // A dry run ends as the run would, except that it needs no secret.
      checkReplacements(plan, options.replace === true)
      return
    }
    const prepared = await showingProblems(json, context, () =>
      registry.prepare(plan, { replace: options.replace === true }),
    )
    if (options.yes !== true && !(await confirm(`Change the services of the App "${oneLine(app)}"?`, json, context))) {
      throw new ConfirmationNeededError('nothing was changed: the plan was not confirmed', {
        hints: ['to apply it without the question, add --yes'],
      })
    }
    const applied = await carryOut(prepared, registry, options, context)
    if (json) await stdout.write(jsonLine({ ...planDocument(plan), results: resultsOf(applied) }))
    else await report(applied, context)
    const error = errorOf(applied)
    if (error !== undefined) throw error
  }
  await withRegistry(options, context, work, concurrency)
}

async function carryOut(
  prepared: PreparedPlan,
  registry: Registry,
  options: ApplyOptions,
  context: Context,
): Promise<Applied> {
  let progress = 'starting'
  const draws = options.json !== true && options.verbose !== true
  const counter = startCounter({ describe: () => progress, draws, logs: false }, context)
  try {
    return await registry.apply(prepared, {
      concurrency: parseConcurrency(options.concurrency),
      report: (event) => {
        if (event.event === 'finished') progress = `${event.finished} of ${event.total} services`
      },
    })
  } finally {
    counter.stop()
  }
}

/** The problems, and a line that says what was done. */
async function report({ results }: Applied, context: Context): Promise<void> {
  for (const { identifier, name, action, outcome, problems } of results) {
    const how = outcome === 'unknown' ? 'may have been' : 'was not'
    const what = `${identifier ?? name} ${how} ${actions.find(([one]) => one === action)?.[1] ?? action}`
    await showProblems(
      problems.map(({ message, place, hint }) => ({ message: `${what}: ${message}`, place, hint })),
      context,
    )
  }
  const done = actions.flatMap(([action, past]) => {
    const count = results.filter((result) => result.action === action && result.outcome === 'done').length
    return count === 0 ? [] : [`${count} ${past}`]
  })
  const others = (['failed', 'unknown', 'skipped'] as const).flatMap((outcome) => {
    const count = results.filter((result) => result.outcome === outcome).length
    return count === 0 ? [] : [`${count} ${outcome === 'skipped' ? 'not tried' : outcome}`]
  })
  const sum = [...(done.length === 0 ? ['nothing was changed'] : done), ...others]
  await context.stdout.write(`${sum.join(', ')}\n`)
}

function resultsOf({ results }: Applied): object[] {
  return results
    .filter(({ action }) => action !== 'unchanged')
    .map(({ identifier, name, action, outcome, id, problems }) => ({
      action,
      identifier: identifier ?? null,
      name,
      outcome,
      id: id ?? null,
      problems: problems.map(problemDocument),
    }))
}

/** @throws UsageError */
function parseConcurrency(text: string | undefined): number {
  return text === undefined ? defaultConcurrency : parseCount(text, '--concurrency', 1, maxConcurrency)
}
