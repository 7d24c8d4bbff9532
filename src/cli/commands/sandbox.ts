import { type Command, Option } from 'commander'
import { FilesError, UsageError } from '../../errors.js'
import type { SandboxOptions, SandboxReady } from '../../sandbox/sandbox.js'
import type { Context } from '../context.js'
import { addOutputOptions, type OutputOptions, parsePort } from '../options.js'

interface SandboxFlags extends OutputOptions {
  readonly app?: readonly string[]
  readonly domain: string
  readonly connectorPort: string
  readonly gatewayPort: string
  readonly internalPort: string
  readonly tokenTtl: string
  readonly validity: string
  readonly state?: string
  readonly log?: true
}

const examples = `
When it is up it prints one line of JSON: URLs, a token URL for each App, and the environment that leads kyconnect to it.

Examples:
  $ kyconnect sandbox --app shop --app erp
  $ kyconnect sandbox > ready.json &
  $ export $(jq -r '.env | to_entries[] | "\\(.key)=\\(.value)"' ready.json)
  $ jq -r .tokenUrls.demo ready.json | kyconnect pair --url -
  $ curl -X POST -H 'Application: demo' "$(jq -r .internalUrl ready.json)/v1/applications/tokens"    another token
`

export function addSandboxCommand(program: Command, context: Context): void {
  const command = program
    .command('sandbox')
    .summary('run a local Kyma to try and test against')
    .description(
      'A local Kyma in one process, on this machine only: Connector, mutual-TLS gateway, Application Registry and Events. Ends on Ctrl-C.',
    )
    .addOption(
      new Option('--app <name>', 'an App that exists, with a token URL; repeatable (default: demo)').argParser(
        (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
      ),
    )
    .option('--domain <name>', 'domain of the cluster', 'kyma.local')
    .option('--connector-port <port>', '0: any free one', '0')
    .option('--gateway-port <port>', '0: any free one', '0')
    .option('--internal-port <port>', '0: any free one', '0')
    .option('--token-ttl <seconds>', 'how long a token lives', '300')
    .option('--validity <n[s|m|h|d]>', 'how long a client certificate is valid', '92d')
    .option('--state <dir>', 'keep CA, services and revocations there (default: in memory)')
    .option('--log', 'one line per request on stderr, tokens taken out')
    .addHelpText('after', examples)
  addOutputOptions(command).action((flags: SandboxFlags) => runSandbox(flags, context))
}

async function runSandbox(flags: SandboxFlags, context: Context): Promise<void> {
  const options: SandboxOptions = {
    apps: flags.app ?? ['demo'],
    domain: flags.domain,
    connectorPort: parseAnyPort(flags.connectorPort, '--connector-port'),
    gatewayPort: parseAnyPort(flags.gatewayPort, '--gateway-port'),
    internalPort: parseAnyPort(flags.internalPort, '--internal-port'),
    tokenTtlSeconds: parseLife(flags.tokenTtl, '--token-ttl', /^(\d{1,9})(s)?$/),
    validitySeconds: parseLife(flags.validity, '--validity', /^(\d{1,9})([smhd])?$/),
    ...(flags.state === undefined ? {} : { stateDirectory: flags.state }),
    ...(flags.log === undefined ? {} : { log: (line: string) => void context.stderr.write(`${line}\n`) }),
  }
  const { startSandbox } = await import('../../sandbox/sandbox.js')
  const sandbox = await startSandbox(options).catch((cause: unknown) => {
    throw new FilesError(`the sandbox could not start: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      hint: 'choose other ports, domain, names or another state folder; "kyconnect sandbox --help" lists the flags',
    })
  })
  try {
    await context.stdout.write(`${JSON.stringify(sandbox.ready)}\n`)
    if (context.stdout.isTerminal && flags.json !== true) await context.stderr.write(howTo(sandbox.ready))
    await context.stopped
  } finally {
    await sandbox.close()
  }
}

function howTo({ env, tokenUrls }: SandboxReady): string {
  const app = Object.keys(tokenUrls)[0] ?? 'demo'
  return [
    '',
    'A local Kyma is up. In another terminal:',
    '',
    ...Object.entries(env).map(([name, value]) => `  export ${name}='${value}'`),
    `  kyconnect pair --app '${app}' --url '${tokenUrls[app] ?? ''}'`,
    '',
    'Ctrl-C ends it.',
    '',
  ].join('\n')
}

/** @throws UsageError */
function parseAnyPort(text: string, name: string): number {
  return text === '0' ? 0 : parsePort(text, name)
}

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A duration in seconds: a number, and a unit where there is a choice. @throws UsageError */
function parseLife(text: string, name: string, form: RegExp): number {
  const [, number, unit = 's'] = form.exec(text) ?? []
  const life = Number(number) * (seconds[unit] ?? 1)
  if (life > 0) return life
  throw new UsageError(
    `${name} takes a number${name === '--validity' ? ' with s, m, h or d behind it' : ' of seconds'}, not ${JSON.stringify(text.slice(0, 40))}`,
  )
}
