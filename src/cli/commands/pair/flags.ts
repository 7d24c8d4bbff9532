import type { KeyObject } from 'node:crypto'
import { getBuiltinModule } from 'node:process'
import { Argument, Option } from 'commander'
import type { CommandDefinition } from '../command.js'
import type { PairOptions } from './run.js'
import { addNetworkOptions, addOutputOptions, addTokenOptions } from '../shared-options.js'

const examples = `
Examples:
  # the token URL from the clipboard; other users cannot see it
  $ pbpaste | kyconnect pair --url -
  # in a script, from a secret
  $ KYCONNECT_TOKEN_URL="$URL" kyconnect pair
  # on a terminal: kyconnect asks for the URL and does not show it
  $ kyconnect pair
  # with a kubeconfig: no token URL, no NodePort needed
  $ kyconnect pair --app shop --node-port auto
  # a local cluster: its gateway has a NodePort and its own CA
  $ pbpaste | kyconnect pair --node-port 30443 --ca-file kyma-ca.pem --url -
  # continue a pairing that failed, within 5 minutes
  $ kyconnect pair --resume
`

export const pairCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('pair')
    .summary('get a client certificate with a one-time token URL, and store it')
    .description(
      'Pairs with an App: fetches the CSR information, generates a key, has the certificate signed, verifies its chain, stores the identity and reads the URLs of the App.',
    )
    .addArgument(
      new Argument('[token-url]', 'as --url; better piped in, because other users can see the arguments of a program'),
    )
    .optionsGroup('Token URL:')
    .option('--url <url>', 'the token URL; - reads it from standard input [KYCONNECT_TOKEN_URL]')
    .option(
      '--app <name>',
      'the App to pair with; a token for another App is refused; without a token URL, the cluster is asked for one',
    )
    .optionsGroup('Identity:')
    .option('--profile <name>', 'the name to store the identity under (default: the App) [KYCONNECT_PROFILE]')
    .option('--force', 'replace the identity that is stored under this profile')
    .option('-y, --yes', 'agree to replace an identity of another domain')
    .option('--resume', 'continue a pairing whose certificate did not arrive')
    .option('--as <name>', 'with --resume: the profile to store the identity under')
    .addOption(new Option('--rollback', 'deprecated: kyconnect rollback').hideHelp())
    .option('--no-verify', 'do not call the management info at the end')
    .optionsGroup('Key:')
    .option('--key-algorithm <name>', 'rsa2048, rsa3072 or rsa4096 (default: what the service announces)')
    .option('--key-file <pem>', 'use this RSA key (PKCS#1 or PKCS#8) instead of a new one')
    .addHelpText('after', examples)
  const full = addTokenOptions(addNetworkOptions(command)).option(
    '--gateway-service <ns/name>',
    "the gateway's Service, for --node-port auto (default: Kyma's)",
  )
  addOutputOptions(full).action((tokenUrl: string | undefined, options: PairOptions) => {
    const usualKey = beginUsualKey(options)
    return run(async (context) => (await import('./run.js')).runPair(tokenUrl, options, context, usualKey))
  })
}

/**
 * Begins to generate the key that nearly every pairing uses, in another thread. It takes longer than everything else, so it begins as
 * soon as the command line is parsed, before anything is loaded.
 */
function beginUsualKey({ keyFile, keyAlgorithm, resume, rollback }: PairOptions): Promise<KeyObject> | undefined {
  if (keyFile ?? keyAlgorithm ?? resume ?? rollback) return undefined
  // Without waiting: the import of a module would be done only after the run and all that it uses are loaded.
  const { generateKeyPair } = getBuiltinModule('node:crypto')
  const key = new Promise<KeyObject>((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength: 2048 }, (error, _, privateKey) => {
      if (error === null) resolve(privateKey)
      else reject(error)
    })
  })
  // It may never be used.
  key.catch(() => undefined)
  return key
}
