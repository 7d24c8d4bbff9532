import type { KeyObject } from 'node:crypto'
import { UsageError } from '../../../errors.js'
import type { Identity } from '../../../identity/identity.js'
import { generatedKey, givenKey, type KeySource, parseKeyAlgorithm } from '../../../pairing/key-source.js'
import type { PairPolicy } from '../../../pairing/policy.js'
import { shellWord } from '../../../shell-word.js'
import { clusterRun, hintFromCluster, nodePortOfCluster, pairWithClusterToken } from '../../cluster.js'
import { clusterChoice, type TokenOptions } from '../../cluster-options.js'
import type { Context } from '../../context.js'
import { readGivenFile } from '../../given-file.js'
import { identityReport, pairedLines, warnOfExpiry, writeJsonReport } from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer, type ProgressRenderer } from '../../output/progress-renderer.js'
import { wrapWords } from '../../output/word-wrap.js'
import { confirm } from '../../prompts.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'
import { findTokenUrl, hasTokenUrl } from '../../token-url.js'
import { runRollback } from '../rollback/run.js'

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
  readonly as?: string
  readonly rollback?: true
  readonly verify: boolean
}

/**
 * @param argument a token URL, as --url
 * @param usualKey an RSA 2048 key whose generation has begun
 */
export async function runPair(
  argument: string | undefined,
  flags: PairOptions,
  context: Context,
  usualKey: Promise<KeyObject> | undefined,
): Promise<void> {
  const options = argument === undefined ? flags : { ...flags, url: tokenUrlArgument(argument, flags) }
  const json = options.json === true
  checkCombination(options)
  if (options.rollback === true) {
    await runDeprecatedRollback(options, context)
    return
  }
  const key = await chooseKey(options, usualKey, context)
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const choice = await routeChoice(options, context, (timeoutMs) =>
    nodePortOfCluster(options, clusterRun(options, progress, timeoutMs, context), context),
  )
  try {
    if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
    const run = { choice, emit: progress.emit, trace: progress.trace }
    const identity = await obtainIdentity(options, json, key, run, progress, context)
    const { kyconnect, runtime, stderr } = context
    const report = identityReport(identity, kyconnect.called(identity, run), options.verify, runtime.now())
    warnOfExpiry(identity, runtime.now(), progress.emit)
    if (json) await writeJsonReport(report, context)
    else await stderr.write(wrapWords(pairedLines(report), stderr.columns()))
  } catch (error) {
    progress.fail()
    const again = (port: number): string =>
      `kyconnect pair --force${options.app === undefined ? '' : ` --app ${shellWord(options.app)}`} --node-port ${port}`
    const isTokenOfCluster = await usesCluster(options, context)
    await hintFromCluster(error, { ...options, isTokenOfCluster }, choice.nodePort, again, context)
    throw error
  }
}

/** Runs `kyconnect rollback` under its old name, `pair --rollback`, which the next release removes. */
async function runDeprecatedRollback(options: PairOptions, context: Context): Promise<void> {
  const { json, verbose } = options
  const { emit } = await createProgressRenderer({ json: json === true, verbose: verbose === true }, context)
  emit({ type: 'warning', warning: 'deprecated', used: 'pair --rollback', instead: 'kyconnect rollback' })
  await runRollback(undefined, options, context)
}

async function obtainIdentity(
  options: PairOptions,
  json: boolean,
  key: KeySource,
  run: Parameters<Context['kyconnect']['pair']>[2],
  progress: ProgressRenderer,
  context: Context,
): Promise<Identity> {
  const { kyconnect } = context
  const profile = namedProfile(options.profile, context)
  const policy = pairPolicy(options, json, context)
  if (options.resume === true) return kyconnect.resume(profile, options.as, policy, run)
  const { app } = options
  const pair = (tokenUrl: () => Promise<URL>): Promise<Identity> =>
    kyconnect.pair({ tokenUrl, app, profile, key }, policy, run)
  if (app !== undefined && (await usesCluster(options, context)))
    return pairWithClusterToken(
      app,
      options,
      clusterRun(options, progress, run.choice.timeoutMs, context),
      context,
      pair,
    )
  if (options.url !== undefined && options.url !== '-') {
    progress.emit({ type: 'warning', warning: 'token-url-in-arguments' })
  }
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
      options.yes === true || confirm(`Replace the identity from ${from} with one from ${to}?`, json, context),
    acceptHosts: async (hosts) =>
      options.force === true ||
      confirm(
        `The gateway names URLs on another host, ${hosts.join(', ')}. Call it with this certificate?`,
        json,
        context,
      ),
  }
}

/** The argument as token URL; it is not repeated in an error, because it may be a token. @throws UsageError */
function tokenUrlArgument(argument: string, { url }: PairOptions): string {
  if (url !== undefined) {
    throw new UsageError('two token URLs were given, as an argument and with --url', { hints: ['give one of them'] })
  }
  if (argument === '-' || /:\/\/|^\s*\{/.test(argument)) return argument
  throw new UsageError('the argument of pair is not a token URL', {
    hints: [
      'to name the App, use --app <name>; to name the identity, use --profile <name>',
      'to give a token URL, pipe it in: kyconnect pair --url -',
    ],
  })
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
    // These are for a TokenRequest, which is not needed when a URL is given.
    ['--url', options.url, '--tenant', options.tenant],
    ['--url', options.url, '--group', options.group],
    ['--url', options.url, '--namespace', options.namespace],
    ['--url', options.url, '--wait', options.wait],
    ['--url', options.url, '--create-app', options.createApp],
    ['--rollback', options.rollback, '--force', options.force],
    ['--key-file', options.keyFile, '--key-algorithm', options.keyAlgorithm],
  ] as const
  for (const [one, given, other, alsoGiven] of clashes) {
    if (given !== undefined && alsoGiven !== undefined) {
      throw new UsageError(`${one} and ${other} exclude each other`, { hints: ['give one of them'] })
    }
  }
  if (options.as !== undefined && options.resume === undefined) {
    throw new UsageError('--as is for --resume only', { hints: ['name the profile with --profile <name>'] })
  }
  if (options.app?.trim() === '') throw new UsageError('--app is empty: it takes the name of an App')
}

/** @throws UsageError, KeyUnsuitableError, FilesError */
async function chooseKey(
  { keyFile, keyAlgorithm }: PairOptions,
  usualKey: Promise<KeyObject> | undefined,
  context: Context,
): Promise<KeySource> {
  if (keyFile !== undefined) return givenKey(await readGivenFile(keyFile, '--key-file', context), keyFile)
  return generatedKey(keyAlgorithm === undefined ? undefined : parseKeyAlgorithm(keyAlgorithm), usualKey)
}
