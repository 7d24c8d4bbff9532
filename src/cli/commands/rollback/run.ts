import { warnIfNotDurable } from '../../../identity/not-durable.js'
import { plainRun } from '../../../kyconnect.js'
import type { Context } from '../../context.js'
import { identityReport, restoredLines, warnOfExpiry, writeJsonReport } from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { wrapWords } from '../../output/word-wrap.js'
import { profileOf } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface RollbackOptions extends OutputOptions {
  readonly profile?: string
  readonly yes?: true
}

/** @param argument a profile, as --profile */
export async function runRollback(
  argument: string | undefined,
  options: RollbackOptions,
  context: Context,
): Promise<void> {
  const { kyconnect, runtime, stderr } = context
  const json = options.json === true
  const profile = profileOf(argument, options.profile, context)
  const { emit } = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const written = await kyconnect.rollback(profile, options.yes === true)
  warnIfNotDurable(written, emit)
  const identity = written.value
  warnOfExpiry(identity, runtime.now(), emit)
  const report = identityReport(identity, kyconnect.called(identity, plainRun), false, runtime.now())
  if (json) await writeJsonReport(report, context)
  else await stderr.write(wrapWords(restoredLines(report), stderr.columns()))
}
