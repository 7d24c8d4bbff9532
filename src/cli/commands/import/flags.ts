import type { CommandDefinition } from '../command.js'
import { addOutputOptions } from '../shared-options.js'
import type { ImportOptions } from './run.js'

const examples = `
Examples:
  # a copy of the folder "current" of another machine
  $ kyconnect import ./current --profile shop
`

export const importCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('import')
    .summary('store an identity from a copy of its folder')
    .description(
      'Stores an identity from a folder that holds a copy of one: key.pem, client.crt, chain.crt, ca.crt and identity.json. The folder of a whole profile will do, too. The folder itself stays as it is.',
    )
    .argument('<folder>', 'the folder with the copy')
    .optionsGroup('Identity:')
    .option('--profile <name>', 'the name to store the identity under (default: the App) [KYCONNECT_PROFILE]')
    .option('--force', 'replace the identity that is stored under this profile')
    .addHelpText('after', examples)
  addOutputOptions(command).action((folder: string, options: ImportOptions) =>
    run(async (context) => (await import('./run.js')).runImport(folder, options, context)),
  )
}
