import { ServicesDifferError } from '../../../errors.js'
import { oneLine } from '../../../redaction.js'
import { hasChanges, type Plan, planServices } from '../../../registry/plan.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import { styleFor } from '../../output/style.js'
import { formatPlan, planDocument } from './plan-report.js'
import { type RegistryOptions, withRegistry } from './registry-session.js'
import { readFiles, warnOfTargetUrls } from './service-files.js'

/** The flags of the command, as they are given. */
export interface DiffOptions extends RegistryOptions {
  readonly file: readonly string[]
  readonly set?: string
  readonly prune?: true
  readonly full?: true
}

export async function runDiff(options: DiffOptions, context: Context): Promise<void> {
  const { stdout, runtime } = context
  const json = options.json === true
  const { services, set } = await readFiles(options, context)
  await withRegistry(options, context, async ({ registry: { client }, identity, progress }) => {
    const { app } = identity.metadata
    warnOfTargetUrls(services, progress.emit)
    const plan = await planServices(client, services, {
      set,
      // A comparison shows what --adopt would do, too.
      adopt: true,
      prune: options.prune === true,
      refreshCredentials: false,
      full: options.full === true,
    })
    if (json) await stdout.write(jsonLine(planDocument(plan)))
    else await stdout.write(formatPlan(plan, app, styleFor(stdout, runtime.environment)))
    if (!hasChanges(plan)) return
    throw new ServicesDifferError(`the services of the App "${oneLine(app)}" differ from the files`, {
      hints: [`to make them equal: kyconnect services apply, with ${listOf(['the same flags', ...neededFlags(plan)])}`],
    })
  })
}

/** What apply needs besides the flags of the comparison. */
function neededFlags({ steps }: Plan): string[] {
  const isAdopting = steps.some((step) => 'reasons' in step && step.reasons.includes('adopted'))
  const isReplacing = steps.some(({ action }) => action === 'replace')
  return [...(isAdopting ? ['--adopt'] : []), ...(isReplacing ? ['--replace'] : [])]
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} and ${words.slice(-1).join()}`
}
