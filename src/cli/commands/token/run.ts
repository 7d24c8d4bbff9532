import type { Context } from '../../context.js'
import { clusterRun, withClusterToken } from '../../cluster.js'
import type { TokenOptions } from '../../cluster-options.js'
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
  const run = clusterRun(progress, timeoutMs(flags.timeout), flags.json === true, context)
  try {
    await withClusterToken(flags.app, flags, run, context, async (tokenUrl) => {
      const { href } = await tokenUrl()
      // The one place where a token is shown: it is what was asked for.
      await context.stdout.write(
        flags.json === true ? `${JSON.stringify({ app: flags.app, url: href })}\n` : `${href}\n`,
      )
    })
  } catch (error) {
    progress.fail()
    throw error
  }
}
