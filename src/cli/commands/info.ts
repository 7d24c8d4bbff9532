import type { Command } from 'commander'
import type { InfoOptions } from '../runs/info.js'
import type { Run } from './run.js'
import { addClusterOptions, addNetworkOptions, addOutputOptions, addProfileOption } from './shared-options.js'

const examples = `
Examples:
  $ kyconnect info
  $ kyconnect info --json | jq .certificate.daysLeft
`

export function addInfoCommand(program: Command, run: Run): void {
  const command = program
    .command('info')
    .summary('show an identity: its App, certificate and URLs, asked anew from the gateway')
    .description(
      'Calls the management info and shows the App, the certificate and the URLs, as they are and as they are called. New URLs are stored.',
    )
    .addHelpText('after', examples)
  addOutputOptions(addClusterOptions(addNetworkOptions(addProfileOption(command)))).action((options: InfoOptions) =>
    run(({ runInfo }, context) => runInfo(options, context)),
  )
}
