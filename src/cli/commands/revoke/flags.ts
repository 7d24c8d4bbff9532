import type { CommandDefinition } from '../command.js'
import { addNetworkOptions, addOutputOptions, addProfileOption } from '../shared-options.js'
import type { RevokeOptions } from './run.js'

const examples = `
Examples:
  # asks for the name of the App
  $ kyconnect revoke demo
  # in a script: without the question; then delete the key as well
  $ kyconnect revoke demo --yes && kyconnect remove demo --yes
`

export const revokeCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('revoke')
    .summary('revoke the certificate of an identity, so that it cannot be renewed')
    .description(
      'Revokes the certificate of an identity. It works until it expires: the services refuse only to renew it. This cannot be undone. Revoking a certificate twice does no harm, so run it again when no answer arrives.',
    )
    .argument('[profile]', 'same as --profile')
  addProfileOption(command)
    .option('-y, --yes', 'revoke without asking for the name of the App; needed where there is no terminal')
    .addHelpText('after', examples)
  addOutputOptions(addNetworkOptions(command)).action((profile: string | undefined, options: RevokeOptions) =>
    run(async (context) => (await import('./run.js')).runRevoke(profile, options, context)),
  )
}
