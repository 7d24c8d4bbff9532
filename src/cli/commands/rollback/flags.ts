import type { CommandDefinition } from '../command.js'
import { addOutputOptions, addProfileOption } from '../shared-options.js'
import type { RollbackOptions } from './run.js'

const examples = `
Examples:
  # after a renewal or "pair --force": return to the previous certificate
  $ kyconnect rollback demo
`

export const rollbackCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('rollback')
    .summary('restore the identity that the last renewal or pairing replaced')
    .description(
      'Restores the identity that the last "renew", "pair --force" or "import --force" replaced; running it again returns to the other one. An identity whose certificate has expired or been revoked is restored only with --yes.',
    )
    .argument('[profile]', 'same as --profile')
  addProfileOption(command)
    .option('-y, --yes', 'restore the identity even if its certificate has expired or been revoked')
    .addHelpText('after', examples)
  addOutputOptions(command).action((profile: string | undefined, options: RollbackOptions) =>
    run(async (context) => (await import('./run.js')).runRollback(profile, options, context)),
  )
}
