import type { CommandDefinition } from '../command.js'
import type { TokenFlags } from './run.js'
import { addOutputOptions, addTokenOptions } from '../shared-options.js'

const examples = `
Examples:
  # for somebody else to pair with, within 5 minutes
  $ kyconnect token --app shop
  # on this machine, from another account
  $ kyconnect token --app shop | sudo -u shop kyconnect pair --url -
`

export const tokenCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('token')
    .summary('get a one-time token URL out of a cluster, for somebody else to pair with')
    .description(
      'Creates a TokenRequest in the cluster, waits for its token URL, prints it, and deletes the TokenRequest. The URL works once, for five minutes.',
    )
    .requiredOption('--app <name>', 'the App to get a token for')
    .addHelpText('after', examples)
  addOutputOptions(
    addTokenOptions(command).option('--timeout <seconds>', 'how long an answer of the cluster may take (default: 30)'),
  ).action((flags: TokenFlags) => run(async (context) => (await import('./run.js')).runToken(flags, context)))
}
