import type { CommandDefinition } from '../command.js'
import type { InfoOptions } from './run.js'
import { addClusterOptions, addNetworkOptions, addOutputOptions, addProfileOption } from '../shared-options.js'

const examples = `
Examples:
  $ kyconnect info
  # one of several identities, without asking the gateway
  $ kyconnect info shop --offline
  $ kyconnect info --json | jq .certificate.daysLeft
  # the gateway has another NodePort now, and no proxy is needed any more
  $ kyconnect info shop --save --node-port 31443 --proxy none
`

export const infoCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('info')
    .summary('show an identity: its App, its certificate and its URLs')
    .description(
      'Shows what is stored: the App, the certificate, and the URLs as received and as called. Then asks the gateway whether it accepts the certificate, and stores new URLs.',
    )
    .argument('[profile]', 'same as --profile')
  addProfileOption(command)
    .option('--offline', 'show what is stored, and do not ask the gateway')
    .option(
      '--save',
      'store the NodePort, resolve rules, CA file and proxy given to this run, once the gateway has answered; "none" clears one: --node-port none',
    )
    .addHelpText('after', examples)
  addOutputOptions(addClusterOptions(addNetworkOptions(command))).action(
    (profile: string | undefined, options: InfoOptions) =>
      run(async (context) => (await import('./run.js')).runInfo(profile, options, context)),
  )
}
