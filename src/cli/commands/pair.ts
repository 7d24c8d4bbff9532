import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { KeyObject } from 'node:crypto'
import { FilesError, UsageError } from '../../errors.js'
import type { Identity } from '../../identity/identity.js'
import { keyAlgorithms, type KeyChoice, keyOfAlgorithm, keyOfFile } from '../../pairing/key-choice.js'
import type { PairPolicy } from '../../pairing/pair.js'
import type { Context } from '../context.js'
import {
  addNetworkOptions,
  addOutputOptions,
  namedProfile,
  type NetworkOptions,
  type OutputOptions,
  routeChoice,
} from '../options.js'
import { identityReport, pairedLines, writeReport } from '../output/identity-report.js'
import { createSteps, type Steps } from '../output/steps.js'
import { confirm } from '../prompts.js'
import { findTokenUrl } from '../token-url.js'
import { warnOfInsecurity } from '../insecurity.js'

interface PairOptions extends NetworkOptions, OutputOptions {
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

const examples = `
Examples:
  $ pbpaste | kyconnect pair --url -            the token URL from the clipboard, unseen by other users
  $ KYCONNECT_TOKEN_URL="$URL" kyconnect pair   in a CI script, the URL from a secret
  $ kyconnect pair                              on a terminal: asks for it
  $ kyconnect pair --app shop --node-port 30443 --ca-file kyma-ca.pem --url -
                                                a local cluster: its gateway behind a NodePort, its own CA
  $ kyconnect pair --resume                     goes on after a failure, within 5 minutes
`

export function addPairCommand(program: Command, context: Context): void {
  const command = program
    .command('pair')
    .summary('get a client certificate with a one-time token URL, and store it')
    .description(
      'Walks from a one-time token URL to a stored identity: CSR information, key, signed certificate, checked chain, URLs.',
    )
    .option('--url <url>', 'the token URL; - reads it from standard input [KYCONNECT_TOKEN_URL]')
    .option('--app <name>', 'the App expected: any other is refused')
    .option('--profile <name>', 'the name to store the identity under; default: the App [KYCONNECT_PROFILE]')
    .addOption(new Option('--key-algorithm <name>', `${keyAlgorithms.join(', ')}; default: what the service announces`))
    .option('--key-file <pem>', 'use this RSA key (PKCS#1 or PKCS#8) instead of making one')
    .option('--force', 'replace the identity that is stored under this profile')
    .option('-y, --yes', 'agree that the identity replaced may be of another domain')
    .option('--resume', 'take up a pairing whose certificate did not arrive')
    .option('--rollback', 'put the identity back that the last --force replaced')
    .option('--no-verify', 'do not call the management info at the end')
    .addHelpText('after', examples)
  addOutputOptions(addNetworkOptions(command)).action((options: PairOptions) => runPair(options, context))
}

async function runPair(options: PairOptions, context: Context): Promise<void> {
  const json = options.json === true
  checkCombination(options)
  const key = await chooseKey(options)
  const takesToken = options.resume === undefined && options.rollback === undefined
  const earlyKey = takesToken ? context.kyconnect.beginKey(key) : undefined
  const choice = await routeChoice(options, context)
  const steps = await createSteps({ json, verbose: options.verbose === true }, context)
  try {
    warnOfInsecurity(choice.insecure, false, steps)
    const run = { choice, progress: steps, trace: steps.trace, signal: context.signal }
    const identity = await walk(options, json, key, earlyKey, run, steps, context)
    const report = identityReport(identity, context.kyconnect.called(identity, run), context.around.now())
    if (json) await writeReport(report, true, context)
    else await context.stderr.write(pairedLines(report))
  } catch (error) {
    steps.fail()
    throw error
  }
}

async function walk(
  options: PairOptions,
  json: boolean,
  key: KeyChoice,
  earlyKey: Promise<KeyObject> | undefined,
  run: Parameters<Context['kyconnect']['pair']>[2],
  steps: Steps,
  context: Context,
): Promise<Identity> {
  const { kyconnect } = context
  const profile = namedProfile(options.profile, context)
  if (options.rollback === true) return kyconnect.rollback(profile)
  const policy = pairPolicy(options, json, context)
  if (options.resume === true) return kyconnect.resume(profile, policy, run)
  const { url, cleaned } = await findTokenUrl(options.url, json, context)
  if (cleaned) steps.warn('the token URL was cleaned: quotes, blanks, line breaks or backslashes were taken off')
  return kyconnect.pair({ tokenUrl: url, app: options.app, profile, key }, policy, run, earlyKey)
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
  if (keyFile !== undefined) return keyOfFile(await readKeyFile(keyFile), keyFile)
  return keyAlgorithm === undefined ? { kind: 'announced' } : keyOfAlgorithm(keyAlgorithm)
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new FilesError(`--key-file: ${JSON.stringify(path)} cannot be read`, {
      cause,
      hint: 'check the path and its permissions',
    })
  }
}
