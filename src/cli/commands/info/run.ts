import { UsageError } from '../../../errors.js'
import type { Identity } from '../../../identity/identity.js'
import type { RunOptions } from '../../../kyconnect.js'
import { clusterRun, hintFromCluster, nodePortOfCluster } from '../../cluster.js'
import type { ClusterOptions } from '../../cluster-options.js'
import type { Context } from '../../context.js'
import {
  identityLines,
  identityReport,
  type IdentityReport,
  urlLines,
  warnOfExpiry,
  writeJsonReport,
  writeLines,
} from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer, type ProgressRenderer } from '../../output/progress-renderer.js'
import { confirm } from '../../prompts.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface InfoOptions extends NetworkOptions, ClusterOptions, OutputOptions {
  readonly profile?: string
  readonly offline?: true
}

/**
 * Shows the stored identity whatever the gateway answers: a person sees it while the gateway is asked, a program gets one document
 * at the end.
 * @param argument a profile, as --profile
 */
export async function runInfo(argument: string | undefined, options: InfoOptions, context: Context): Promise<void> {
  if (argument !== undefined && options.profile !== undefined && argument !== options.profile) {
    throw new UsageError('two profiles were given, as an argument and with --profile', { hints: ['give one of them'] })
  }
  const { kyconnect, runtime } = context
  const json = options.json === true
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const { nodePort, ...otherOptions } = options
  // The cluster is asked for its NodePort only after the stored identity has been shown.
  const offlineChoice = await routeChoice(nodePort === 'auto' ? otherOptions : options, context, undefined, false)
  const offline = { choice: offlineChoice, emit: progress.emit, trace: progress.trace }
  const profile = namedProfile(options.profile ?? argument, context)
  const identity = await kyconnect.identity(profile)
  const stored = reportOf(identity, offline, false, context)
  const columns = context.stdout.columns()
  if (!json) await writeLines(identityLines(stored, columns), context)
  if (offline.choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  if (identity.metadata.insecure) progress.emit({ type: 'warning', warning: 'paired-insecurely' })
  warnOfExpiry(identity, runtime.now(), progress.emit)
  if (options.offline === true) {
    if (json) await writeJsonReport(stored, context)
    return
  }
  try {
    const online = await runOptions(options, progress, context)
    progress.emit({ type: 'started', step: 'management-info' })
    const refreshed = await refresh(identity, online, profile, options, context)
    const report = reportOf(refreshed, online, true, context)
    progress.emit({ type: 'finished', step: 'management-info', urlCount: Object.keys(report.urls).length })
    if (json) await writeJsonReport(report, context)
    else if (!sameUrls(stored, report)) {
      await writeLines(`URLs now\n${urlLines(report, columns)}`, context)
    }
  } catch (error) {
    progress.fail()
    if (json) await writeJsonReport(stored, context)
    throw error
  }
}

/** How the gateway is reached; `auto` as NodePort is read from the cluster. */
async function runOptions(options: InfoOptions, progress: ProgressRenderer, context: Context): Promise<RunOptions> {
  const choice = await routeChoice(options, context, (timeoutMs) =>
    nodePortOfCluster(options, clusterRun(options, progress, timeoutMs, context), context),
  )
  return { choice, emit: progress.emit, trace: progress.trace }
}

async function refresh(
  identity: Identity,
  run: RunOptions,
  profile: string | undefined,
  options: InfoOptions,
  context: Context,
): Promise<Identity> {
  const acceptHosts = (hosts: readonly string[]): Promise<boolean> =>
    confirm(
      `The gateway names URLs on another host, ${hosts.join(', ')}. Store and call them?`,
      options.json === true,
      context,
    )
  try {
    return await context.kyconnect.info(identity, { acceptHosts }, run)
  } catch (error) {
    const named = profile === undefined ? '' : ` --profile ${profile}`
    const again = (port: number): string => `kyconnect info${named} --node-port ${port}`
    await hintFromCluster(error, options, run.choice.nodePort, again, context)
    throw error
  }
}

function reportOf(identity: Identity, run: RunOptions, verified: boolean, context: Context): IdentityReport {
  return identityReport(identity, context.kyconnect.called(identity, run), verified, context.runtime.now())
}

function sameUrls(one: IdentityReport, other: IdentityReport): boolean {
  return urlLines(one) === urlLines(other)
}
