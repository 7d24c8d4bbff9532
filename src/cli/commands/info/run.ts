import { KyconnectError, UsageError } from '../../../errors.js'
import type { Identity } from '../../../identity/identity.js'
import { formatResolveRule, type ShownRoute, showProxy } from '../../../identity/route.js'
import type { RunOptions } from '../../../kyconnect.js'
import { checkSavable } from '../../../pairing/saved-route.js'
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
import { wrapWords } from '../../output/word-wrap.js'
import { confirm } from '../../prompts.js'
import { choosesRoute, type NetworkOptions, profileOf, routeChoice } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface InfoOptions extends NetworkOptions, ClusterOptions, OutputOptions {
  readonly profile?: string
  readonly offline?: true
  readonly save?: true
}

/**
 * Shows the stored identity whatever the gateway answers: a person sees it while the gateway is asked, a program gets one document
 * at the end.
 * @param argument a profile, as --profile
 */
export async function runInfo(argument: string | undefined, options: InfoOptions, context: Context): Promise<void> {
  const { kyconnect, runtime } = context
  const profile = profileOf(argument, options.profile, context)
  const json = options.json === true
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const { nodePort, ...otherOptions } = options
  // The cluster is asked for its NodePort only after the stored identity has been shown.
  const offlineChoice = await routeChoice(nodePort === 'auto' ? otherOptions : options, context, undefined, false)
  if (options.save === true) checkSave(options, offlineChoice, context)
  const offline = { choice: offlineChoice, emit: progress.emit, trace: progress.trace }
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
    const saved = options.save === true ? savedRoute(online.choice) : undefined
    if (json) await writeJsonReport({ ...report, ...(saved === undefined ? {} : { saved }) }, context)
    else {
      if (!sameUrls(stored, report)) await writeLines(`URLs now\n${urlLines(report, columns)}`, context)
      if (saved !== undefined) await writeSaved(saved, refreshed.metadata.profile, context)
    }
  } catch (error) {
    progress.fail()
    if (json) await writeJsonReport(stored, context)
    throw error
  }
}

/** Checks, before anything is called, that there will be something to store. @throws UsageError */
function checkSave(options: InfoOptions, choice: RunOptions['choice'], context: Context): void {
  if (options.offline === true) {
    throw new UsageError('--save and --offline exclude each other: nothing is stored until the gateway has answered', {
      hints: ['leave one of them out'],
    })
  }
  checkSavable(choice)
  if (choosesRoute(options, context)) return
  throw new UsageError('--save has nothing to store: no NodePort, resolve rule, CA file or proxy is given', {
    hints: ['add --node-port, --resolve, --ca-file or --proxy; "none" clears what is stored'],
  })
}

/** What `info --save` has stored; what this run did not choose is absent. A proxy is shown without its credentials. */
type SavedRoute = Partial<ShownRoute>

function savedRoute({ nodePort, resolve, serverCa, proxy }: RunOptions['choice']): SavedRoute {
  return {
    ...(nodePort === undefined ? {} : { nodePort }),
    ...(resolve === undefined ? {} : { resolve: resolve.map(formatResolveRule) }),
    ...(serverCa === undefined ? {} : { caFile: serverCa !== null }),
    ...(proxy === undefined ? {} : { proxy: proxy === null ? null : showProxy(proxy) }),
  }
}

async function writeSaved(
  { nodePort, resolve, caFile, proxy }: SavedRoute,
  profile: string,
  { stderr }: Context,
): Promise<void> {
  const parts = [
    nodePort === undefined ? [] : nodePort === null ? 'no NodePort' : `NodePort ${nodePort}`,
    resolve === undefined ? [] : resolve.length === 0 ? 'no resolve rules' : `resolve ${resolve.join(', ')}`,
    caFile === undefined ? [] : caFile ? 'the certificates of the CA file' : 'no CA file',
    proxy === undefined ? [] : proxy === null ? 'no proxy' : `proxy ${proxy}`,
  ].flat()
  await stderr.write(wrapWords(`Stored with the identity "${profile}": ${parts.join('; ')}.\n`, stderr.columns()))
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
    return await context.kyconnect.info(identity, { acceptHosts }, run, options.save === true)
  } catch (error) {
    const named = profile === undefined ? '' : ` --profile ${profile}`
    const again = (port: number): string => `kyconnect info${named} --node-port ${port}`
    await hintFromCluster(error, options, run.choice.nodePort, again, context)
    if (options.save === true && error instanceof KyconnectError)
      error.addHint('correct what failed, then run the command again: nothing was stored')
    throw error
  }
}

function reportOf(identity: Identity, run: RunOptions, verified: boolean, context: Context): IdentityReport {
  return identityReport(identity, context.kyconnect.called(identity, run), verified, context.runtime.now())
}

function sameUrls(one: IdentityReport, other: IdentityReport): boolean {
  return urlLines(one) === urlLines(other)
}
