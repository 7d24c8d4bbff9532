import type { Context } from '../../context.js'
import { clusterRun, withClusterToken } from '../../cluster.js'
import type { TokenOptions } from '../../cluster-options.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { timeoutMs } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface TokenFlags extends TokenOptions, OutputOptions {
  readonly app: string
  readonly timeout?: string
}

export async function runToken(flags: TokenFlags, context: Context): Promise<void> {
  const progress = await createProgressRenderer({ json: flags.json === true, verbose: flags.verbose === true }, context)
  const run = clusterRun(flags, progress, timeoutMs(flags.timeout), context)
  try {
    await withClusterToken(flags.app, flags, run, context, async (tokenUrl) => {
      const { href } = await tokenUrl()
      // The one place that shows a token: the user asked for it.
      await context.stdout.write(flags.json === true ? jsonLine({ app: flags.app, url: href }) : `${href}\n`)
    })
  } catch (error) {
    progress.fail()
    throw error
  }
}
