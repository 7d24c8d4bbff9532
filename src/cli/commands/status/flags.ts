import type { CommandDefinition } from '../command.js'
import type { StatusOptions } from './run.js'
import { addOutputOptions } from '../shared-options.js'

const examples = `
Examples:
  $ kyconnect status
  # in a script or a monitoring system: 10 when something is due, 11 when an App must be paired again
  $ kyconnect status --check
  # the profiles that are due within two weeks
  $ kyconnect status --expires-in 14d --json | jq -r '.identities[] | select(.state == "due").profile'
  # for the textfile collector of node_exporter
  $ kyconnect status --prometheus > kyconnect.prom.new && mv kyconnect.prom.new kyconnect.prom
`

export const statusCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('status')
    .aliases(['list', 'ls'])
    .summary('show every stored identity: its validity, its next renewal and its state')
    .description(
      'Shows the stored identities: profile, App, the end of the validity, the time left, the next renewal, the gateway, and the state. Asks no service. For up to 20 identities the keys are checked too; for more, name one with --profile.',
    )
    .argument('[profile]', 'same as --profile')
    .optionsGroup('Identity:')
    .option('--profile <name>', 'show this identity only (default: all)')
    .option(
      '--expires-in <time>',
      'due when less than this is left, such as 20d, 36h or 33% (default: a third of the lifetime)',
    )
    .optionsGroup('Check:')
    .option(
      '--check',
      'exit with 10 when a renewal is due or a hook is pending, with 11 when a certificate has expired or been revoked, with 5 when there is no identity or one cannot be used',
    )
    .addHelpText('after', examples)
  addOutputOptions(command)
    .option('--prometheus', 'print metrics in the text format of Prometheus')
    .action((profile: string | undefined, options: StatusOptions) =>
      run(async (context) => (await import('./run.js')).runStatus(profile, options, context)),
    )
}
