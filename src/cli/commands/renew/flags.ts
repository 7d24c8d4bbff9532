import type { CommandDefinition } from '../command.js'
import type { RenewOptions } from './run.js'
import { addNetworkOptions, addOutputOptions, addProfileOption } from '../shared-options.js'

const examples = `
Examples:
  # now
  $ kyconnect renew
  # from a timer, every 15 minutes: prints nothing when nothing is due
  $ kyconnect renew --all --if-due
  # earlier than usual, and let a web server know
  $ kyconnect renew --all --if-due --expires-in 40d --exec 'systemctl reload nginx'
  # as a daemon, with /healthz and /metrics on port 9464
  $ kyconnect renew --daemon --listen 9464
`

export const renewCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('renew')
    .summary('renew the certificate of an identity, or of all that are due')
    .description(
      'Renews certificates: generates a key, requests a certificate, and replaces the current one once the gateway has accepted the new one. "kyconnect rollback" restores the previous one.',
    )
    .argument('[profile]', 'same as --profile')
  addProfileOption(command)
    .option('--all', 'renew every stored identity')
    .optionsGroup('When:')
    .option('--if-due', 'renew only what is due: by default when less than a third of its lifetime is left')
    .option(
      '--expires-in <time>',
      'with --if-due or --daemon: due when less than this is left, such as 20d, 36h or 33%, but never in the first 1/20 of the lifetime',
    )
    .option(
      '--daemon',
      'keep running, and renew what is due: all identities unless one is named; SIGHUP makes it look at once, SIGTERM ends it',
    )
    .option(
      '--listen <address:port>',
      'with --daemon: serve /healthz and /metrics at this address, such as 9464 (for this machine only), 0.0.0.0:9464 or [::1]:9464',
    )
    .optionsGroup('Key:')
    .option('--reuse-key', 'keep the current key instead of generating a new one')
    .option('--key-algorithm <name>', 'rsa2048, rsa3072 or rsa4096 (default: what the service announces)')
    .optionsGroup('Afterwards:')
    .option(
      '--exec <command>',
      'run this command in a shell after renewals, once, with the profiles in KYCONNECT_PROFILES; when it fails, the next run repeats it',
    )
    .addHelpText('after', examples)
  addOutputOptions(addNetworkOptions(command)).action((profile: string | undefined, options: RenewOptions) =>
    run(async (context) => (await import('./run.js')).runRenew(profile, options, context)),
  )
}
