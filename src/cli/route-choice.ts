import { UsageError } from '../errors.js'
import { parseResolveRule, readProxyUrl, type ResolveRule, type RouteChoice } from '../identity/route.js'
import type { Context } from './context.js'
import { readGivenFile } from './given-file.js'

/** The flags of every command that uses the network. */
export interface NetworkOptions {
  readonly nodePort?: string
  readonly resolve?: readonly string[]
  readonly caFile?: string
  readonly proxy?: string
  readonly insecure?: true
  readonly timeout?: string
  /** Of `info`: this run's NodePort, resolve rules, CA and proxy are stored; only then `none` is the word for none of them. */
  readonly save?: true
}

const defaultTimeoutSeconds = 30
/** Bytes of a CA file: it may be stored with the identity, where no file is larger. */
const maxCaBytes = 1024 * 1024

/** The profile that the flag names, otherwise the environment. */
export function namedProfile(option: string | undefined, context: Context): string | undefined {
  return option ?? variable(context, 'KYCONNECT_PROFILE')
}

/** The profile on the command line. @throws UsageError when argument and flag differ */
export function givenProfile(argument: string | undefined, option: string | undefined): string | undefined {
  if (argument === undefined || option === undefined || argument === option) return option ?? argument
  throw new UsageError('two profiles were given, as an argument and with --profile', { hints: ['give one of them'] })
}

/** The profile on the command line, otherwise in the environment. @throws as givenProfile */
export function profileOf(
  argument: string | undefined,
  option: string | undefined,
  context: Context,
): string | undefined {
  return namedProfile(givenProfile(argument, option), context)
}

/** Whether flags or variables of kyconnect say how the services are reached. */
export function choosesRoute({ nodePort, resolve, caFile, proxy }: NetworkOptions, context: Context): boolean {
  const variables = ['KYCONNECT_NODE_PORT', 'KYCONNECT_RESOLVE', 'KYCONNECT_CA_FILE']
  return (
    [nodePort, resolve, caFile, proxy].some((flag) => flag !== undefined) ||
    variables.some((name) => variable(context, name) !== undefined)
  )
}

/**
 * Reads how the services are reached: from the flags, then from the environment.
 * @param ofCluster reads the NodePort from the cluster for `auto`; without it, a command uses the NodePort that `pair` stored
 * @param readsCa false where nothing is called: the CA file may be missing then
 * @throws UsageError that names the flag or variable, FilesError
 */
export async function routeChoice(
  options: NetworkOptions,
  context: Context,
  ofCluster?: (timeoutMs: number) => Promise<number>,
  readsCa = true,
): Promise<Omit<RouteChoice, 'environment'>> {
  const [nodePort, nodePortName] = either(options.nodePort, '--node-port', 'KYCONNECT_NODE_PORT', context)
  const [caFile, caFileName] = either(options.caFile, '--ca-file', 'KYCONNECT_CA_FILE', context)
  const fromVariable = variable(context, 'KYCONNECT_RESOLVE')
    ?.split(',')
    .filter((rule) => rule.trim() !== '')
  const rules = options.resolve ?? fromVariable
  const timeout = timeoutMs(options.timeout)
  const isNone = (text: string | undefined): boolean => options.save === true && text === 'none'
  const rulesName = options.resolve === undefined ? 'KYCONNECT_RESOLVE' : '--resolve'
  return {
    nodePort:
      nodePort === 'auto' && (ofCluster !== undefined || nodePortName === 'KYCONNECT_NODE_PORT')
        ? await ofCluster?.(timeout)
        : nodePort === undefined
          ? undefined
          : isNone(nodePort)
            ? null
            : ofCluster === undefined
              ? parsePort(refuseAuto(nodePort), nodePortName)
              : parsePort(nodePort, nodePortName, options.save === true ? 'auto, none or ' : 'auto or '),
    resolve: rules?.length === 1 && isNone(rules[0]) ? [] : rules?.map((rule) => parseRule(rule, rulesName)),
    serverCa: isNone(caFile)
      ? null
      : caFile === undefined || !readsCa
        ? undefined
        : await readCaFile(caFile, caFileName, context),
    proxy: options.proxy === undefined ? undefined : parseProxy(options.proxy),
    insecure: options.insecure ?? parseFlag(variable(context, 'KYCONNECT_INSECURE'), 'KYCONNECT_INSECURE'),
    timeoutMs: timeout,
  }
}

/** Milliseconds. @throws UsageError */
export function timeoutMs(option: string | undefined): number {
  return (option === undefined ? defaultTimeoutSeconds : parseSeconds(option, '--timeout')) * 1000
}

/** @throws UsageError for `auto` */
function refuseAuto(nodePort: string): string {
  if (nodePort !== 'auto') return nodePort
  throw new UsageError('--node-port auto is for pair and info: this command takes the port itself', {
    hints: [
      'read it from the cluster: kyconnect info --node-port auto --json | jq .nodePort',
      'or store it with the identity: kyconnect pair --force --node-port auto',
    ],
  })
}

/** @throws UsageError */
export function parsePort(text: string, name: string, orElse = ''): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65535) return port
  throw new UsageError(`${name} takes ${orElse}a port from 1 to 65535, not ${quoted(text)}`)
}

/** @throws UsageError */
export function parseCount(text: string, name: string, least: number, most = 1_000_000_000): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && text.length <= String(most).length && number >= least && number <= most) return number
  throw new UsageError(`${name} takes a number from ${least} to ${most}, not ${quoted(text)}`)
}

/** @throws UsageError */
export function parseSeconds(text: string, name: string): number {
  const seconds = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= 3600) return seconds
  throw new UsageError(`${name} takes seconds, more than 0 and up to 3600, not ${quoted(text)}`)
}

/** An environment variable; an empty one counts as unset. */
export function variable({ runtime }: Context, name: string): string | undefined {
  const value = runtime.environment[name]
  return value === '' ? undefined : value
}

function either(
  option: string | undefined,
  flag: string,
  name: string,
  context: Context,
): [string | undefined, string] {
  return option === undefined ? [variable(context, name), name] : [option, flag]
}

function parseFlag(text: string | undefined, name: string): boolean {
  if (text === undefined || /^(0|false|no)$/i.test(text)) return false
  if (/^(1|true|yes)$/i.test(text)) return true
  throw new UsageError(`${name} takes 1 or 0, not ${quoted(text)}`)
}

function parseRule(text: string, name: string): ResolveRule {
  const rule = parseResolveRule(text)
  if (rule !== undefined) return rule
  throw new UsageError(`${name} takes host:port:address, not ${quoted(text)}`, {
    hints: [
      "for example gateway.kyma.local:30443:192.168.64.2, '*.kyma.local:*:127.0.0.1' or host:443:[::1]",
      'give one address per rule, and --resolve once for each rule',
    ],
  })
}

/** null for `none`. @throws UsageError */
export function parseProxy(text: string): URL | null {
  return text === 'none' ? null : readProxyUrl(text, '--proxy')
}

async function readCaFile(path: string, name: string, context: Context): Promise<string> {
  const pem = await readGivenFile(path, name, context)
  if (Buffer.byteLength(pem) > maxCaBytes) {
    throw new UsageError(`${name}: ${quoted(path)} is larger than ${maxCaBytes / 1024} KiB`, {
      hints: ["name a file that holds only the CA of the cluster: the system's own CAs are trusted anyway"],
    })
  }
  if (/-----BEGIN (TRUSTED )?CERTIFICATE-----/.test(pem)) return pem
  throw new UsageError(`${name}: ${quoted(path)} does not contain a PEM certificate`, {
    hints: ['convert a DER file to PEM: openssl x509 -inform der -in ca.der -out ca.pem'],
  })
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}
