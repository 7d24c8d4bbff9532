import type { CommandDefinition } from '../command.js'
import { addOutputOptions } from '../shared-options.js'
import type { RemoveOptions } from './run.js'

const examples = `
Examples:
  $ kyconnect remove demo
  # in a script: without the question
  $ kyconnect remove demo --yes
`

export const removeCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('remove')
    .alias('rm')
    .summary('delete an identity from this machine')
    .description(
      'Deletes an identity from this machine: its key, its certificate, the identity that it replaced, and a pending pairing. Where only a pairing is pending, it deletes that. The certificate is not revoked.',
    )
    .argument('<profile>', 'the identity, or the pending pairing, to delete')
    .optionsGroup('Identity:')
    .option('-y, --yes', 'delete without asking; needed where there is no terminal')
    .addHelpText('after', examples)
  addOutputOptions(command).action((profile: string, options: RemoveOptions) =>
    run(async (context) => (await import('./run.js')).runRemove(profile, options, context)),
  )
}
