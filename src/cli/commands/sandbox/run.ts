import { resolve } from 'node:path'
import { FilesError, NetworkError, UsageError } from '../../../errors.js'
import type { SandboxOptions, SandboxReady } from '../../../sandbox/sandbox.js'
import type { Context } from '../../context.js'
import type { OutputOptions } from '../../output/output.js'
import { parsePort } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface SandboxFlags extends OutputOptions {
  readonly app?: readonly string[]
  readonly domain: string
  readonly connectorPort: string
  readonly gatewayPort: string
  readonly internalPort: string
  readonly kubernetesPort: string
  readonly deny?: readonly string[]
  readonly tokenTtl: string
  readonly validity: string
  readonly state?: string
  readonly log?: true
}

export async function runSandbox(flags: SandboxFlags, context: Context): Promise<void> {
  const options: SandboxOptions = {
    apps: flags.app ?? ['demo'],
    domain: flags.domain,
    connectorPort: parseAnyPort(flags.connectorPort, '--connector-port'),
    gatewayPort: parseAnyPort(flags.gatewayPort, '--gateway-port'),
    internalPort: parseAnyPort(flags.internalPort, '--internal-port'),
    kubernetesPort: parseAnyPort(flags.kubernetesPort, '--kubernetes-port'),
    deny: (flags.deny ?? []).map(parseDenial),
    tokenTtlSeconds: parseLife(flags.tokenTtl, '--token-ttl', /^(\d{1,9})(s)?$/),
    validitySeconds: parseLife(flags.validity, '--validity', /^(\d{1,9})([smhd])?$/),
    ...(flags.state === undefined ? {} : { stateDirectory: resolve(flags.state) }),
    ...(flags.log === undefined ? {} : { log: (line: string) => void context.stderr.write(`${line}\n`) }),
  }
  const { startSandbox, PortError, SandboxOptionError } = await import('../../../sandbox/sandbox.js')
  const sandbox = await startSandbox(options).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    if (cause instanceof SandboxOptionError)
      throw new UsageError(why, { cause, hints: ['see kyconnect sandbox --help'] })
    if (cause instanceof PortError)
      throw new NetworkError(`the sandbox could not start: ${why}`, {
        cause,
        hints: ['choose another port, or 0 for any that is free'],
      })
    throw new FilesError(`the sandbox could not start: ${why}`, { cause, hints: ['choose another state folder'] })
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
    `  echo '${tokenUrls[app] ?? ''}' | kyconnect pair --app '${app}' --url -`,
    '',
    'Ctrl-C ends it.',
    '',
  ].join('\n')
}

/** @throws UsageError */
function parseDenial(text: string): { verb: string; resource: string } {
  const [, verb, resource] = /^([^:]+):([^:]+)$/.exec(text) ?? []
  if (verb !== undefined && resource !== undefined) return { verb, resource }
  throw new UsageError(`--deny takes <verb>:<resource>, not ${JSON.stringify(text.slice(0, 60))}`, {
    hints: ['for instance --deny create:tokenrequests'],
  })
}

/** @throws UsageError */
function parseAnyPort(text: string, name: string): number {
  return text === '0' ? 0 : parsePort(text, name, '0 (any that is free) or ')
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
