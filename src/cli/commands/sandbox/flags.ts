import { Option } from 'commander'
import type { CommandDefinition } from '../command.js'
import type { SandboxFlags } from './run.js'
import { addOutputOptions, collect } from '../shared-options.js'

const examples = `
On a terminal it prints what to type in another terminal. In a pipe, or with
--json, it prints one line of JSON: URLs, a token URL for each App, and the
environment variables that point kyconnect and kubectl at the sandbox.

Examples:
  # two Apps
  $ kyconnect sandbox --app shop --app erp
  # in the background, for a script
  $ kyconnect sandbox > ready.json &
  $ until [ -s ready.json ]; do sleep 0.1; done
  $ export $(jq -r '.env | to_entries[] | "\\(.key)=\\(.value)"' ready.json)
  $ jq -r .tokenUrls.demo ready.json | kyconnect pair --url -
  # pair without a token URL
  $ kyconnect pair --app demo --profile again
  # another token URL
  $ curl -X POST -H 'Application: demo' \\
      "$(jq -r .internalUrl ready.json)/v1/applications/tokens"
  # answer "ignored" to all events but one type
  $ kyconnect sandbox --subscribe order.created:v1
  # list the accepted events in order of arrival (the newest 100,000), for a
  # test's assertions; ?app= and ?type= select, DELETE empties the list
  $ curl "$(jq -r .internalUrl ready.json)/sandbox/events?type=order.created"
`

export const sandboxCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('sandbox')
    .summary('run a local Kyma to try and test against')
    .description(
      'Runs a local Kyma in one process, for this machine only: Connector, mutual-TLS gateway, Application Registry, Events, and the Kubernetes API for TokenRequests. Ctrl-C ends it.',
    )
    .addOption(new Option('--app <name>', 'an App to create; repeatable (default: demo)').argParser(collect))
    .option('--domain <name>', 'the domain of the cluster', 'kyma.local')
    .option('--connector-port <port>', 'the port of the Connector; 0: any free one', '0')
    .option('--gateway-port <port>', 'the port of the gateway; 0: any free one', '0')
    .option(
      '--internal-port <port>',
      'the port of the internal API, for tokens and the list of events; 0: any free one',
      '0',
    )
    .option('--kubernetes-port <port>', 'the port of the Kubernetes API; 0: any free one', '0')
    .option('--central', 'central mode: tokens and certificates are for a tenant and a group')
    .addOption(
      new Option(
        '--subscribe <type:version>',
        'publish these events and ignore all others; repeatable (default: publish all)',
      ).argParser(collect),
    )
    .option(
      '--list-subscriptions',
      'list what --subscribe names at …/events/subscribed, as releases from 1.1 on do (1.0 answers 405)',
    )
    .addOption(
      new Option(
        '--deny <verb:resource>',
        'forbid this in the Kubernetes API, such as create:tokenrequests; repeatable',
      ).argParser(collect),
    )
    .option('--token-ttl <seconds>', 'how long a token is valid', '300')
    .option('--validity <n[s|m|h|d]>', 'how long a client certificate is valid', '92d')
    .option('--state <dir>', 'keep CA, services and revocations in this folder (default: in memory)')
    .option('--log', 'print one line per request on stderr, without tokens')
    .addHelpText('after', examples)
  addOutputOptions(command).action((flags: SandboxFlags) =>
    run(async (context) => (await import('./run.js')).runSandbox(flags, context)),
  )
}
