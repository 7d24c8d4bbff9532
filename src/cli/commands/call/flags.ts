import { Option } from 'commander'
import type { CommandDefinition } from '../command.js'
import type { CallOptions } from './run.js'
import { addNetworkOptions, addOutputOptions, addProfileOption, collect } from '../shared-options.js'

const examples = `
Examples:
  # list the services, register one, remove it
  $ kyconnect call metadata
  $ kyconnect call metadata -d @service.json
  $ kyconnect call metadata /<id> -X DELETE
  # send an event
  $ kyconnect call events -d @event.json
  # print the names only
  $ kyconnect call metadata | jq -r '.[].name'
`

export const callCommand: CommandDefinition = (program, run) => {
  const command = program
    .command('call')
    .summary("send a request to one of the App's endpoints, with the client certificate")
    .description(
      "Sends an authenticated request to the App's metadata, events or info endpoint. The body of the answer goes to stdout unchanged; on a terminal, JSON is indented. A 4xx ends with exit code 6, a 5xx with 7.",
    )
    .argument('<endpoint>', 'metadata, events, info, or a URL of the App as "kyconnect info" shows it')
    .argument('[path]', 'appended to the endpoint, e.g. /<id> or ?name=value')
    .optionsGroup('Request:')
    .option('-X, --method <method>', 'the HTTP method (default: GET, or POST with --data)')
    .option(
      '-d, --data <text>',
      'the body; @<file> reads a file, @- standard input; JSON unless a header says otherwise',
    )
    .addOption(new Option('-H, --header <name: value>', 'a header; repeatable').argParser(collect))
    .option('--allow-starred', 'send a service whose credentials are "********"; the Registry stores the stars')
  addOutputOptions(addNetworkOptions(addProfileOption(command)))
    .option('-i, --include', 'print the status and the headers before the body')
    .option('-o, --output <file>', 'the file to write the body to (not a format)')
    .addHelpText('after', examples)
    .action((endpoint: string, path: string | undefined, options: CallOptions) =>
      run(async (context) => (await import('./run.js')).runCall(endpoint, path ?? '', options, context)),
    )
}
