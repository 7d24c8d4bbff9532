import type { Command } from 'commander'
import type { CommandDefinition, Run } from '../command.js'
import { addNetworkOptions, addOutputOptions, addProfileOption } from '../shared-options.js'
import type { PublishOptions, SubscribedOptions } from './run.js'

const examples = `
Examples:
  # one event
  $ kyconnect events publish --type order.created --type-version v1 --data '{"order":4711}'
  # a file with an event on each line; run the same command again to continue after a crash
  $ kyconnect events publish -f events.ndjson --checkpoint events.checkpoint --rejects rejects.ndjson
  # what another program writes, for as long as it runs
  $ export-orders --follow | kyconnect events publish -f - --rejects rejects.ndjson
`

/** Events of the App. Every subcommand is a run in a file beside this one. */
export const eventsCommand: CommandDefinition = (program, run) => {
  const events = program
    .command('events')
    .summary('publish events, one or millions')
    .description(
      'Publishes events of the App: one from the command line, or one for each line of a file or of standard input. docs/events.md describes the lines, and what is sent again after a failure.',
    )
    .addHelpText('after', examples)
    .action(() => {
      events.outputHelp()
    })
  definePublish(events, run)
  defineSubscribed(events, run)
}

function definePublish(events: Command, run: Run): void {
  const command = events
    .command('publish')
    .summary('publish an event, or a file of them')
    .description(
      'Publishes an event, or one for each line of a file. Each is checked before it is sent, as the service and its bus would check it. An event that is sent again, after a failure or a crash, has the same id.',
    )
    .optionsGroup('One event:')
    .option('--type <type>', 'event-type: lower case, such as order.created')
    .option('--type-version <version>', 'event-type-version: at most 4 lower-case letters and digits, such as v1')
    .option('--data <json>', 'the data; @<file> reads a file, @- standard input')
    .option('--id <uuid>', 'event-id (default: a new one)')
    .option('--time <time>', 'event-time, RFC 3339 (default: now)')
    .optionsGroup('Many events:')
    .option('-f, --file <file>', 'a file with one event on each line, or - for standard input')
    .option('--checkpoint <file>', 'record progress in this file, and continue from there')
    .option(
      '--rejects <file>',
      'append rejected lines to this file, and continue; without it, the first one ends the run',
    )
    .option('--max-rejects <number>', 'end the run after more rejected lines than this in it')
    .option('--key <pointer>', 'send events with the same value at this JSON pointer one after another')
    .option('--rate <number>', 'send at most this many requests per second (500 or 500/s)')
    .option('--concurrency <number>', 'connections, from 1 to 128 (default: 16)')
    .option('--retry-for <time>', 'give up after this long without a success, such as 90s, 5m or 1h (default: 5m)')
    .addHelpText('after', examples)
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((options: PublishOptions) =>
    run(async (context) => (await import('./run.js')).runPublish(options, context)),
  )
}

function defineSubscribed(events: Command, run: Run): void {
  const command = events
    .command('subscribed')
    .summary('list the event types that something in the cluster subscribes to')
    .description(
      'Lists the event types that something in the cluster subscribes to. Kyma has this endpoint since release 1.1.',
    )
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((options: SubscribedOptions) =>
    run(async (context) => (await import('./run.js')).runSubscribed(options, context)),
  )
}
