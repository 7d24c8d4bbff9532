import { UsageError } from '../../../errors.js'
import type { Identity } from '../../../identity/identity.js'
import { type KeyChoice, keyOfAlgorithm, keyOfFile } from '../../../pairing/key-choice.js'
import type { PairPolicy } from '../../../pairing/pair.js'
import { clusterRun, hintFromCluster, nodePortOfCluster, pairWithClusterToken } from '../../cluster.js'
import { clusterChoice, type TokenOptions } from '../../cluster-options.js'
import type { Context } from '../../context.js'
import { readGivenFile } from '../../given-file.js'
import { identityReport, pairedLines, restoredLines, writeReport } from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer, type ProgressRenderer } from '../../output/progress-renderer.js'
import { confirm } from '../../prompts.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'
import { findTokenUrl, hasTokenUrl } from '../../token-url.js'

/** The flags of the command, as they are given. */
export interface PairOptions extends NetworkOptions, TokenOptions, OutputOptions {
  readonly url?: string
  readonly app?: string
  readonly profile?: string
  readonly keyAlgorithm?: string
  readonly keyFile?: string
  readonly force?: true
  readonly yes?: true
  readonly resume?: true
  readonly rollback?: true
  readonly verify: boolean
}

export async function runPair(options: PairOptions, context: Context): Promise<void> {
  const json = options.json === true
  checkCombination(options)
  const key = await chooseKey(options)
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const choice = await routeChoice(options, context, (timeoutMs) =>
    nodePortOfCluster(options, clusterRun(progress, timeoutMs, json, context), context),
  )
  try {
    if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
    const run = { choice, emit: progress.emit, trace: progress.trace }
    const identity = await walk(options, json, key, run, progress, context)
    const report = identityReport(identity, context.kyconnect.called(identity, run), context.runtime.now())
    if (json) await writeReport(report, true, context)
    else await context.stderr.write(options.rollback === true ? restoredLines(report) : pairedLines(report))
  } catch (error) {
    progress.fail()
    const again = (port: number): string =>
      `kyconnect pair --force${options.app === undefined ? '' : ` --app ${options.app}`} --node-port ${port}`
    const isTokenOfCluster = await usesCluster(options, context)
    await hintFromCluster(error, { ...options, isTokenOfCluster }, choice.nodePort, again, context)
    throw error
  }
}

async function walk(
  options: PairOptions,
  json: boolean,
  key: KeyChoice,
  run: Parameters<Context['kyconnect']['pair']>[2],
  progress: ProgressRenderer,
  context: Context,
): Promise<Identity> {
  const { kyconnect } = context
  const profile = namedProfile(options.profile, context)
  if (options.rollback === true) return kyconnect.rollback(profile)
  const policy = pairPolicy(options, json, context)
  if (options.resume === true) return kyconnect.resume(profile, policy, run)
  const { app } = options
  const pair = (tokenUrl: () => Promise<URL>): Promise<Identity> =>
    kyconnect.pair({ tokenUrl, app, profile, key }, policy, run, context.begunKey)
  if (app !== undefined && (await usesCluster(options, context)))
    return pairWithClusterToken(app, options, clusterRun(progress, run.choice.timeoutMs, json, context), context, pair)
  const { url, cleaned } = await findTokenUrl(options.url, json, context)
  if (cleaned) progress.emit({ type: 'warning', warning: 'token-url-cleaned' })
  return pair(() => Promise.resolve(url))
}

/** Whether the token comes from a cluster: an App is named, and no URL is given. */
async function usesCluster(options: PairOptions, context: Context): Promise<boolean> {
  if (options.app === undefined || hasTokenUrl(options.url, context)) return false
  return context.kyconnect.hasCluster(clusterChoice(options))
}

function pairPolicy(options: PairOptions, json: boolean, context: Context): PairPolicy {
  return {
    replace: options.force === true,
    verify: options.verify,
    otherDomain: async (from, to) =>
      options.yes === true ||
      confirm(`The identity stored is of ${from}, the new one of ${to}. Replace it?`, json, context),
    acceptHosts: async (hosts) =>
      options.force === true ||
      confirm(
        `The gateway names URLs of another host, ${hosts.join(', ')}. Call it with this certificate?`,
        json,
        context,
      ),
  }
}

/** @throws UsageError */
function checkCombination(options: PairOptions): void {
  const clashes = [
    ['--resume', options.resume, '--url', options.url],
    ['--resume', options.resume, '--app', options.app],
    ['--resume', options.resume, '--key-file', options.keyFile],
    ['--resume', options.resume, '--key-algorithm', options.keyAlgorithm],
    ['--resume', options.resume, '--rollback', options.rollback],
    ['--rollback', options.rollback, '--url', options.url],
    ['--rollback', options.rollback, '--force', options.force],
    ['--key-file', options.keyFile, '--key-algorithm', options.keyAlgorithm],
  ] as const
  for (const [one, given, other, alsoGiven] of clashes) {
    if (given !== undefined && alsoGiven !== undefined) throw new UsageError(`${one} and ${other} do not go together`)
  }
  if (options.app?.trim() === '') throw new UsageError('--app takes the name of an App')
}

/** @throws UsageError, KeyUnsuitableError, FilesError */
async function chooseKey({ keyFile, keyAlgorithm }: PairOptions): Promise<KeyChoice> {
  if (keyFile !== undefined) return keyOfFile(await readGivenFile(keyFile, '--key-file'), keyFile)
  return keyAlgorithm === undefined ? { kind: 'announced' } : keyOfAlgorithm(keyAlgorithm)
}
