import type { OutputOptions } from '../../output/output.js'
import type { CommandDefinition } from '../command.js'
import { addOutputOptions } from '../shared-options.js'

const examples = `
Examples:
  $ kyconnect rename demo shop
`

export const renameCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('rename')
    .summary('store an identity under another profile')
    .description('Renames the profile of an identity. The key, the certificate and the App stay the same.')
    .argument('<from>', 'the present name of the profile')
    .argument('<to>', 'the new name: letters, digits, ".", "_" and "-"; it must be free')
    .addHelpText('after', examples)
  addOutputOptions(command).action((from: string, to: string, options: OutputOptions) =>
    run(async (context) => (await import('./run.js')).runRename(from, to, options, context)),
  )
}
