import { warnIfNotDurable } from '../../../identity/not-durable.js'
import { plainRun } from '../../../kyconnect.js'
import type { Context } from '../../context.js'
import { identityReport, importedLines, warnOfExpiry, writeJsonReport } from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { wrapWords } from '../../output/word-wrap.js'
import { namedProfile } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface ImportOptions extends OutputOptions {
  readonly profile?: string
  readonly force?: true
}

export async function runImport(folder: string, options: ImportOptions, context: Context): Promise<void> {
  const { kyconnect, runtime, stderr } = context
  const json = options.json === true
  const { emit } = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const profile = namedProfile(options.profile, context)
  const written = await kyconnect.import(folder, profile, options.force === true)
  warnIfNotDurable(written, emit)
  const identity = written.value
  warnOfExpiry(identity, runtime.now(), emit)
  const report = identityReport(identity, kyconnect.called(identity, plainRun), false, runtime.now())
  if (json) await writeJsonReport(report, context)
  else await stderr.write(wrapWords(importedLines(report), stderr.columns()))
}
