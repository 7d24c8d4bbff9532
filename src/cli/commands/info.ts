import type { Command } from 'commander'
import type { Context } from '../context.js'
import { warnOfInsecurity } from '../insecurity.js'
import {
  addNetworkOptions,
  addOutputOptions,
  addProfileOption,
  namedProfile,
  type NetworkOptions,
  type OutputOptions,
  routeChoice,
} from '../options.js'
import { identityReport, writeReport } from '../output/identity-report.js'
import { createSteps } from '../output/steps.js'
import { confirm } from '../prompts.js'

interface InfoOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
}

const examples = `
Examples:
  $ kyconnect info
  $ kyconnect info --json | jq .certificate.daysLeft
`

export function addInfoCommand(program: Command, context: Context): void {
  const command = program
    .command('info')
    .summary('show an identity: its App, certificate and URLs, asked anew from the gateway')
    .description(
      'Calls the management info and shows the App, the certificate and the URLs, as they are and as they are called. New URLs are stored.',
    )
    .addHelpText('after', examples)
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((options: InfoOptions) =>
    runInfo(options, context),
  )
}

async function runInfo(options: InfoOptions, context: Context): Promise<void> {
  const { kyconnect } = context
  const json = options.json === true
  const choice = await routeChoice(options, context)
  const steps = await createSteps({ json, verbose: options.verbose === true }, context)
  const run = { choice, progress: steps, trace: steps.trace, signal: context.signal }
  warnOfInsecurity(choice.insecure, false, steps)
  const identity = await kyconnect.info(
    namedProfile(options.profile, context),
    (hosts) =>
      confirm(`The gateway names URLs of another host, ${hosts.join(', ')}. Store and call them?`, json, context),
    run,
  )
  warnOfInsecurity(false, identity.metadata.insecure, steps)
  await writeReport(identityReport(identity, kyconnect.called(identity, run), context.around.now()), json, context)
}
