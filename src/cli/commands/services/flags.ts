import type { Command } from 'commander'
import type { CommandDefinition, Run } from '../command.js'
import { addNetworkOptions, addOutputOptions, addProfileOption } from '../shared-options.js'
import type {
  ApplyOptions,
  DeleteOptions,
  DiffOptions,
  ExportOptions,
  GetOptions,
  InitOptions,
  ListOptions,
} from './run.js'

const examples = `
Examples:
  # write a service file from an OpenAPI file, see what would change, and register it
  $ kyconnect services init --from orders.openapi.yaml
  $ kyconnect services diff -f orders.service.yaml
  $ kyconnect services apply -f orders.service.yaml
  # keep the App in step with a folder of a repository, in CI
  $ kyconnect services apply -f services/ --set shop --prune --yes
  # begin with what is registered
  $ kyconnect services export services/
`

const applyExamples = `
Examples:
  # shows the plan, and asks
  $ kyconnect services apply -f orders.service.yaml
  # in CI: no question; services no longer in the folder are deleted
  $ kyconnect services apply -f services/ --set shop --prune --yes
  # after a password has changed
  $ KYCONNECT_SECRET_SHOP=... kyconnect services apply -f services/ --refresh-credentials --yes
`

/** The Registry's services as files. Every subcommand is a run in a file beside this one. */
export const servicesCommand: CommandDefinition = (program, run) => {
  const services = program
    .command('services')
    .summary("keep the App's services in files: plan, apply, compare, export")
    .description(
      "Registers the App's APIs and events from files, and keeps them in line with the files. The files hold the Application Registry's own fields, in YAML or JSON; docs/services.md describes them.",
    )
    .addHelpText('after', examples)
    .action(() => {
      services.outputHelp()
    })
  defineApply(services, run)
  defineDiff(services, run)
  defineList(services, run)
  defineGet(services, run)
  defineDelete(services, run)
  defineExport(services, run)
  defineInit(services, run)
}

function addFileOptions(command: Command): Command {
  return command
    .optionsGroup('Files:')
    .requiredOption('-f, --file <path...>', 'service files, folders of them, or - for standard input')
    .option(
      '--set <name>',
      'the set that the services belong to; if the files name one, it must be the same (default: the one that the files name, else "default")',
    )
    .option('--prune', 'delete the services of the set that no file describes')
    .option('--full', 'read every service, and compare all that the Registry returns, not only what its list has')
}

function defineApply(services: Command, run: Run): void {
  const command = services
    .command('apply')
    .summary('register, change and delete services, as files describe them')
    .description(
      'Compares the files with what is registered, shows a plan, asks, and carries it out. Nothing is sent when a file has a problem. Services are matched by their identifier. One request is enough when nothing has changed.',
    )
  addFileOptions(command)
    .optionsGroup('Plan:')
    .option('--dry-run', 'show the plan, and change nothing; ends with 2 where --adopt or --replace is missing')
    .option('-y, --yes', 'do not ask; needed where there is no terminal')
    .option('--adopt', 'take over services with the same identifier that were not registered from files')
    .option(
      '--replace',
      'allow deleting and registering anew, where the Registry offers no other way: the service gets a new id, and bindings to it break',
    )
    .option('--refresh-credentials', 'write the credentials again, although the files have not changed')
    .option('--concurrency <number>', 'requests at the same time, from 1 to 64 (default: 8)')
    .addHelpText('after', applyExamples)
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((options: ApplyOptions) =>
    run(async (context) => (await import('./run.js')).runApply(options, context)),
  )
}

function defineDiff(services: Command, run: Run): void {
  const command = services
    .command('diff')
    .summary('show what apply would do')
    .description(
      'Compares the files with what is registered, and changes nothing. Ends with 0 when there is nothing to do, and with 10 when there is. Without --full it sees changes by hand as far as the list of services shows; a changed credential cannot be seen. No secret is needed.',
    )
  addFileOptions(command)
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((options: DiffOptions) =>
    run(async (context) => (await import('./run.js')).runDiff(options, context)),
  )
}

function defineList(services: Command, run: Run): void {
  const command = services
    .command('list')
    .alias('ls')
    .summary('list the registered services')
    .description('Lists the services of the App: identifier, name, provider, the set it belongs to, and id.')
    .option('--set <name>', 'only the services of this set')
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((options: ListOptions) =>
    run(async (context) => (await import('./run.js')).runList(options, context)),
  )
}

function defineGet(services: Command, run: Run): void {
  const command = services
    .command('get')
    .summary('print a registered service')
    .description('Prints what the Registry returns for a service, as JSON. Credentials are "********".')
    .argument('<service>', 'its id, identifier or name')
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((service: string, options: GetOptions) =>
    run(async (context) => (await import('./run.js')).runGet(service, options, context)),
  )
}

function defineDelete(services: Command, run: Run): void {
  const command = services
    .command('delete')
    .alias('rm')
    .summary('delete registered services')
    .description('Deletes services. Bindings to them in the cluster break, and the next apply registers them again.')
    .argument('<services...>', 'the id, identifier or name of each')
    .option('-y, --yes', 'do not ask; needed where there is no terminal')
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((names: string[], options: DeleteOptions) =>
    run(async (context) => (await import('./run.js')).runDelete(names, options, context)),
  )
}

function defineExport(services: Command, run: Run): void {
  const command = services
    .command('export')
    .summary('write service files from what is registered')
    .description(
      'Writes a service file for each registered service, and its specification beside it. The Registry does not return credentials: the files refer to variables, which have to be set before the files are applied.',
    )
    .argument('<folder>', 'is created if it does not exist')
    .option('--set <name>', 'only the services of this set; needed when the App has services of several sets')
    .option('--force', 'write into a folder that has service files already, and overwrite those of the same name')
  addOutputOptions(addNetworkOptions(addProfileOption(command))).action((folder: string, options: ExportOptions) =>
    run(async (context) => (await import('./run.js')).runExport(folder, options, context)),
  )
}

function defineInit(services: Command, run: Run): void {
  const command = services
    .command('init')
    .summary('write a service file from a specification')
    .description(
      'Reads title, description and servers of an OpenAPI, Swagger or AsyncAPI document, and writes a service file that can be applied as it is. A document from a URL is saved beside it.',
    )
    .requiredOption('--from <file|url>', 'the document, in YAML or JSON')
    .option('-o, --output <file>', 'the file to write (default: <title>.service.yaml)')
    .option('--target-url <url>', 'the URL of the API (default: the first server that the document names)')
    .option('--force', 'overwrite files that exist')
    .option('--timeout <seconds>', 'time limit for connecting, and for each answer (default: 30)')
  addOutputOptions(command).action((options: InitOptions) =>
    run(async (context) => (await import('./run.js')).runInit(options, context)),
  )
}
