import type { Command } from 'commander'
import type { TokenFlags } from '../runs/token.js'
import type { Run } from './run.js'
import { addOutputOptions, addTokenOptions } from './shared-options.js'

const examples = `
Examples:
  # for somebody else to pair with, within 5 minutes
  $ kyconnect token --app shop
  # on this machine, from another account
  $ kyconnect token --app shop | sudo -u shop kyconnect pair --url -
`

export function addTokenCommand(program: Command, run: Run): void {
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
  ).action((flags: TokenFlags) => run(({ runToken }, context) => runToken(flags, context)))
}
