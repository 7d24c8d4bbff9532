import { Option } from 'commander'
import type { CommandDefinition } from '../command.js'
import type { SandboxFlags } from './run.js'
import { addOutputOptions, collect } from '../shared-options.js'

const examples = `
When it is up it prints one line of JSON: URLs, a token URL for each App, and
the environment that leads kyconnect, and kubectl, to it.

Examples:
  # two Apps
  $ kyconnect sandbox --app shop --app erp
  # in the background, and the way to it
  $ kyconnect sandbox > ready.json &
  $ export $(jq -r '.env | to_entries[] | "\\(.key)=\\(.value)"' ready.json)
  $ jq -r .tokenUrls.demo ready.json | kyconnect pair --url -
  # the same without a token URL
  $ kyconnect pair --app demo --profile again
  # another token
  $ curl -X POST -H 'Application: demo' \\
      "$(jq -r .internalUrl ready.json)/v1/applications/tokens"
`

export const sandboxCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('sandbox')
    .summary('run a local Kyma to try and test against')
    .description(
      'A local Kyma in one process, on this machine only: Connector, mutual-TLS gateway, Application Registry, Events, and the Kubernetes API for TokenRequests. Ends on Ctrl-C.',
    )
    .addOption(
      new Option('--app <name>', 'an App that exists, with a token URL; repeatable (default: demo)').argParser(collect),
    )
    .option('--domain <name>', 'domain of the cluster', 'kyma.local')
    .option('--connector-port <port>', '0: any free one', '0')
    .option('--gateway-port <port>', '0: any free one', '0')
    .option('--internal-port <port>', '0: any free one', '0')
    .option('--kubernetes-port <port>', '0: any free one', '0')
    .addOption(
      new Option(
        '--deny <verb:resource>',
        'what the Kubernetes API forbids, such as create:tokenrequests; repeatable',
      ).argParser(collect),
    )
    .option('--token-ttl <seconds>', 'how long a token lives', '300')
    .option('--validity <n[s|m|h|d]>', 'how long a client certificate is valid', '92d')
    .option('--state <dir>', 'keep CA, services and revocations there (default: in memory)')
    .option('--log', 'one line per request on stderr, tokens taken out')
    .addHelpText('after', examples)
  addOutputOptions(command).action((flags: SandboxFlags) =>
    run(async (context) => (await import('./run.js')).runSandbox(flags, context)),
  )
}
