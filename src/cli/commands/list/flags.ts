import type { OutputOptions } from '../../output/output.js'
import type { CommandDefinition } from '../command.js'
import { addOutputOptions } from '../shared-options.js'

const examples = `
Examples:
  $ kyconnect list
  # the profiles that expire within two weeks
  $ kyconnect list --json | jq -r '.identities[] | select(.daysLeft < 14).profile'
`

export const listCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('list')
    .alias('ls')
    .summary('list the stored identities, and the days their certificates have left')
    .description(
      'Lists the stored identities: profile, App, the end of the validity, the days left, and the gateway. Asks no service.',
    )
    .addHelpText('after', examples)
  addOutputOptions(command).action((options: OutputOptions) =>
    run(async (context) => (await import('./run.js')).runList(options, context)),
  )
}
