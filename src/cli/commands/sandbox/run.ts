import { resolve } from 'node:path'
import { FilesError, NetworkError, UsageError } from '../../../errors.js'
import type { SandboxOptions } from '../../../sandbox/sandbox.js'
import type { Context } from '../../context.js'
import type { OutputOptions } from '../../output/output.js'
import { parsePort } from '../../route-choice.js'
import { sandboxGuide } from './guide.js'

/** The flags of the command, as they are given. */
export interface SandboxFlags extends OutputOptions {
  readonly app?: readonly string[]
  readonly domain: string
  readonly connectorPort: string
  readonly gatewayPort: string
  readonly internalPort: string
  readonly kubernetesPort: string
  readonly central?: true
  readonly subscribe?: readonly string[]
  readonly listSubscriptions?: true
  readonly deny?: readonly string[]
  readonly tokenTtl: string
  readonly validity: string
  readonly state?: string
  readonly log?: true
}

export async function runSandbox(flags: SandboxFlags, context: Context): Promise<void> {
  const options = optionsFrom(flags, context)
  const { startSandbox, PortError, SandboxOptionError } = await import('../../../sandbox/sandbox.js')
  const sandbox = await startSandbox(options).catch((cause: unknown) => {
    const message = cause instanceof Error ? cause.message : String(cause)
    if (cause instanceof SandboxOptionError)
      throw new UsageError(message, { cause, hints: ['see kyconnect sandbox --help'] })
    if (cause instanceof PortError)
      throw new NetworkError(`the sandbox cannot start: ${message}`, {
        cause,
        hints: ['choose another port, or 0 for any free one'],
      })
    throw new FilesError(`the sandbox cannot start: ${message}`, { cause, hints: ['choose another state folder'] })
  })
  try {
    const isGuide = context.stdout.isTerminal && flags.json !== true
    await context.stdout.write(
      isGuide ? sandboxGuide(sandbox.ready, options.tokenTtlSeconds) : `${JSON.stringify(sandbox.ready)}\n`,
    )
    await context.stopped
  } finally {
    await sandbox.close()
  }
}

/** @throws UsageError */
function optionsFrom(flags: SandboxFlags, context: Context): SandboxOptions {
  if (flags.listSubscriptions === true && flags.subscribe === undefined)
    throw new UsageError('--list-subscriptions needs --subscribe', {
      hints: ['name what is listed: --subscribe order.created:v1'],
    })
  return {
    apps: flags.app ?? ['demo'],
    domain: flags.domain,
    connectorPort: parseAnyPort(flags.connectorPort, '--connector-port'),
    gatewayPort: parseAnyPort(flags.gatewayPort, '--gateway-port'),
    internalPort: parseAnyPort(flags.internalPort, '--internal-port'),
    kubernetesPort: parseAnyPort(flags.kubernetesPort, '--kubernetes-port'),
    central: flags.central === true,
    ...(flags.subscribe && { subscriptions: flags.subscribe.map(parseSubscription) }),
    listsSubscriptions: flags.listSubscriptions === true,
    deny: (flags.deny ?? []).map(parseDenial),
    tokenTtlSeconds: parseDuration(flags.tokenTtl, '--token-ttl', 'a number of seconds', /^(\d{1,9})(s)?$/),
    validitySeconds: parseDuration(
      flags.validity,
      '--validity',
      'a number followed by s, m, h or d',
      /^(\d{1,9})([smhd])?$/,
    ),
    ...(flags.state === undefined ? {} : { stateDirectory: resolve(flags.state) }),
    ...(flags.log === undefined ? {} : { log: (line: string) => void context.stderr.write(`${line}\n`) }),
  }
}

/** @throws UsageError */
function parseDenial(text: string): { verb: string; resource: string } {
  const [verb, resource] = parsePair(text, '--deny', '<verb>:<resource>', 'create:tokenrequests')
  return { verb, resource }
}

/** @throws UsageError */
function parseSubscription(text: string): { type: string; version: string } {
  const [type, version] = parsePair(text, '--subscribe', '<type>:<version>', 'order.created:v1')
  return { type, version }
}

/** Two texts joined by a colon. @throws UsageError */
function parsePair(text: string, flag: string, form: string, example: string): [string, string] {
  const [first = '', second = '', ...more] = text.split(':')
  if (first !== '' && second !== '' && more.length === 0) return [first, second]
  throw new UsageError(`${flag} takes ${form}, not ${JSON.stringify(text.slice(0, 60))}`, {
    hints: [`write it like ${flag} ${example}`],
  })
}

/** @throws UsageError */
function parseAnyPort(text: string, flag: string): number {
  return text === '0' ? 0 : parsePort(text, flag, '0 (any free one) or ')
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A duration in seconds. @throws UsageError */
function parseDuration(text: string, flag: string, form: string, pattern: RegExp): number {
  const [, number, unit = 's'] = pattern.exec(text) ?? []
  const durationSeconds = Number(number) * (unitSeconds[unit] ?? 1)
  if (durationSeconds > 0) return durationSeconds
  throw new UsageError(`${flag} takes ${form}, not ${JSON.stringify(text.slice(0, 40))}`)
}
