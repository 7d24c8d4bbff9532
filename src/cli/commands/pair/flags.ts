import type { KeyObject } from 'node:crypto'
import type { CommandDefinition } from '../command.js'
import type { PairOptions } from './run.js'
import { addNetworkOptions, addOutputOptions, addTokenOptions } from '../shared-options.js'

const examples = `
Examples:
  # the token URL from the clipboard, unseen by other users
  $ pbpaste | kyconnect pair --url -
  # in a CI script, from a secret
  $ KYCONNECT_TOKEN_URL="$URL" kyconnect pair
  # on a terminal: asks for it
  $ kyconnect pair
  # with a kubeconfig at hand: no token URL, no NodePort
  $ kyconnect pair --app shop --node-port auto
  # a local cluster: its gateway behind a NodePort, its own CA
  $ pbpaste | kyconnect pair --node-port 30443 --ca-file kyma-ca.pem --url -
  # go on after a failure, within 5 minutes
  $ kyconnect pair --resume
`

export const pairCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('pair')
    .summary('get a client certificate with a one-time token URL, and store it')
    .description(
      'Walks from a one-time token URL to a stored identity: CSR information, key, signed certificate, checked chain, URLs.',
    )
    .option('--url <url>', 'the token URL; - reads it from standard input [KYCONNECT_TOKEN_URL]')
    .option(
      '--app <name>',
      'the App expected: any other is refused; without a URL, a cluster is asked for a token for it',
    )
    .option('--profile <name>', 'the name to store the identity under; default: the App [KYCONNECT_PROFILE]')
    .option('--key-algorithm <name>', 'rsa2048, rsa3072 or rsa4096; default: what the service announces')
    .option('--key-file <pem>', 'use this RSA key (PKCS#1 or PKCS#8) instead of making one')
    .option('--force', 'replace the identity that is stored under this profile')
    .option('-y, --yes', 'agree that the identity replaced may be of another domain')
    .option('--resume', 'continue a pairing whose certificate did not arrive')
    .option('--as <name>', 'with --resume: the profile to store the identity under')
    .option('--rollback', 'put the identity back that the last --force replaced')
    .option('--no-verify', 'do not call the management info at the end')
    .addHelpText('after', examples)
  const full = addTokenOptions(addNetworkOptions(command)).option(
    '--gateway-service <ns/name>',
    "the gateway's Service, for --node-port auto; default: Kyma's",
  )
  addOutputOptions(full).action((options: PairOptions) => {
    const usualKey = beginUsualKey(options)
    return run(async (context) => (await import('./run.js')).runPair(options, context, usualKey))
  })
}

/**
 * Begins the key that nearly every pairing uses, in a thread of its own: generating it takes longer than everything else, so it begins as
 * soon as the command line is known to be one, before anything is loaded.
 */
function beginUsualKey({ keyFile, keyAlgorithm, resume, rollback }: PairOptions): Promise<KeyObject> | undefined {
  if (keyFile ?? keyAlgorithm ?? resume ?? rollback) return undefined
  const key = import('node:crypto').then(
    ({ generateKeyPair }) =>
      new Promise<KeyObject>((resolve, reject) => {
        generateKeyPair('rsa', { modulusLength: 2048 }, (error, _, privateKey) => {
          if (error === null) resolve(privateKey)
          else reject(error)
        })
      }),
  )
  // It may never be used.
  key.catch(() => undefined)
  return key
}
