import type { CommandDefinition } from '../command.js'
import type { InfoOptions } from './run.js'
import { addClusterOptions, addNetworkOptions, addOutputOptions, addProfileOption } from '../shared-options.js'

const examples = `
Examples:
  $ kyconnect info
  $ kyconnect info --json | jq .certificate.daysLeft
`

export const infoCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('info')
    .summary('show an identity: its App, certificate and URLs, asked anew from the gateway')
    .description(
      'Calls the management info and shows the App, the certificate and the URLs, as they are and as they are called. New URLs are stored.',
    )
    .addHelpText('after', examples)
  addOutputOptions(addClusterOptions(addNetworkOptions(addProfileOption(command)))).action((options: InfoOptions) =>
    run(async (context) => (await import('./run.js')).runInfo(options, context)),
  )
}
