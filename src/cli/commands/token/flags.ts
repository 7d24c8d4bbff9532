import type { CommandDefinition } from '../command.js'
import type { TokenFlags } from './run.js'
import { addOutputOptions, addTokenOptions } from '../shared-options.js'

const examples = `
Examples:
  # a token URL to hand to another person, who pairs within 5 minutes
  $ kyconnect token --app shop
  # on this machine, for another account
  $ kyconnect token --app shop | sudo -u shop kyconnect pair --url -
`

export const tokenCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('token')
    .summary('get a one-time token URL from a cluster, to pair on another machine')
    .description(
      'Creates a TokenRequest in the cluster, waits for its token URL, prints it, and deletes the TokenRequest. The URL works once, for five minutes.',
    )
    .requiredOption('--app <name>', 'the App to get a token for')
    .addHelpText('after', examples)
  addOutputOptions(
    addTokenOptions(command)
      .option('--proxy <url>', 'connect through this HTTP proxy; "none" for no proxy [HTTPS_PROXY, NO_PROXY]')
      .option('--timeout <seconds>', 'time limit for each answer of the cluster (default: 30)'),
  ).action((flags: TokenFlags) => run(async (context) => (await import('./run.js')).runToken(flags, context)))
}
