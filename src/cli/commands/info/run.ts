import { clusterRun, hintFromCluster, nodePortOfCluster } from '../../cluster.js'
import type { ClusterOptions } from '../../cluster-options.js'
import type { Context } from '../../context.js'
import { identityReport, writeReport } from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { confirm } from '../../prompts.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface InfoOptions extends NetworkOptions, ClusterOptions, OutputOptions {
  readonly profile?: string
  readonly gatewayService?: string
}

export async function runInfo(options: InfoOptions, context: Context): Promise<void> {
  const { kyconnect } = context
  const json = options.json === true
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const choice = await routeChoice(options, context, (timeoutMs) =>
    nodePortOfCluster(options, clusterRun(progress, timeoutMs, json, context), context),
  )
  const run = { choice, emit: progress.emit, trace: progress.trace }
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  const profile = namedProfile(options.profile, context)
  const identity = await kyconnect
    .info(
      profile,
      (hosts) =>
        confirm(`The gateway names URLs of another host, ${hosts.join(', ')}. Store and call them?`, json, context),
      run,
    )
    .catch(async (error: unknown) => {
      const named = profile === undefined ? '' : ` --profile ${profile}`
      const again = (port: number): string => `kyconnect info${named} --node-port ${port}`
      await hintFromCluster(error, options, choice.nodePort, again, context)
      throw error
    })
  if (identity.metadata.insecure) progress.emit({ type: 'warning', warning: 'paired-insecurely' })
  await writeReport(identityReport(identity, kyconnect.called(identity, run), context.runtime.now()), json, context)
}
