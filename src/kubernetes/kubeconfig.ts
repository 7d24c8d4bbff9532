import { access } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { ClusterAccessError, errorCodeOf, UsageError } from '../errors.js'
import type { Cluster, ClusterChoice, ClusterConnection } from './cluster.js'
import { type CredentialDeps, credentialSource } from './credentials.js'
import type { ExecCluster } from './exec-credential.js'
import { anonymous, type ClusterEntry, type Kubeconfig, readKubeconfig } from './kubeconfig-file.js'
import { checkCluster, checkUser, invalidEntry } from './kubeconfig-rules.js'
import { fileProblem, readLocalFile } from './local-file.js'
import { readServiceAccount, serviceAccountToken } from './service-account.js'
import { shellWord } from '../shell-word.js'

/** Where to look for kubeconfigs. */
export interface KubeconfigLocation {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly userHome: string
}

export type KubeconfigDeps = KubeconfigLocation & CredentialDeps

/** Whether a cluster is configured, by a kubeconfig or the service account of a pod. Reads no file. */
export async function hasCluster(choice: ClusterChoice, location: KubeconfigLocation): Promise<boolean> {
  if (choice.kubeconfig !== undefined || choice.context !== undefined) return true
  return (await kubeconfigFiles(choice, location)).length > 0 || isThere(serviceAccountToken)
}

/**
 * Opens the chosen cluster. Warns when the kubeconfig says not to check the cluster's certificate.
 * @throws UsageError when there is no kubeconfig, or it cannot be used as it is; ClusterAccessError when its CA file cannot be read
 */
export async function openCluster(choice: ClusterChoice, deps: KubeconfigDeps): Promise<Cluster> {
  const files = await kubeconfigFiles(choice, deps)
  if (files.length > 0) return chooseContext(await mergeFiles(files, deps.signal), choice, deps)
  if (await isThere(serviceAccountToken)) return chooseContext(await readServiceAccount(deps), choice, deps)
  throw new UsageError('no kubeconfig found, and not running in a pod', {
    hints: [
      'name one with --kubeconfig <file> or KUBECONFIG',
      'or get a token URL from the administrator: kyconnect pair --url -',
    ],
  })
}

async function chooseContext(config: Kubeconfig, choice: ClusterChoice, deps: KubeconfigDeps): Promise<Cluster> {
  const name = choice.context ?? config.currentContext
  const context = name === undefined ? undefined : config.contexts.get(name)
  if (name === undefined || context === undefined) throw noSuchContext(name, [...config.contexts.keys()])
  const cluster = context.cluster === undefined ? undefined : config.clusters.get(context.cluster)
  if (context.cluster === undefined) throw invalidEntry('context', name, 'it names no cluster')
  if (cluster === undefined)
    throw invalidEntry('context', name, `the kubeconfig has no cluster ${JSON.stringify(context.cluster)}`)
  const user = context.user === undefined ? anonymous : config.users.get(context.user)
  if (user === undefined)
    throw invalidEntry('context', name, `the kubeconfig has no user ${JSON.stringify(context.user)}`)
  checkCluster(context.cluster, cluster)
  checkUser(context.user ?? '', user)
  const server = serverOf(context.cluster, cluster)
  const ca = await readCa(context.cluster, cluster, deps.signal)
  const connection: ClusterConnection = {
    ca,
    insecure: cluster.insecure,
    serverName: cluster.serverName,
    proxy: proxyOf(context.cluster, cluster),
  }
  if (cluster.insecure)
    deps.emit({ type: 'warning', warning: 'cluster-insecure', context: name, server: server.origin })
  return {
    context: name,
    server,
    namespace: choice.namespace ?? context.namespace ?? 'default',
    connection,
    credentials: credentialSource(user, { context: name, user: context.user ?? '' }, execCluster(cluster, ca), deps),
  }
}

const maxShownNames = 20

function noSuchContext(name: string | undefined, names: readonly string[]): UsageError {
  const known =
    names.length === 0
      ? 'the kubeconfig has no contexts: check it with: kubectl config view'
      : `choose one of its contexts with --context <name>: ${names.slice(0, maxShownNames).map(shellWord).join(', ')}`
  return new UsageError(
    name === undefined
      ? 'the kubeconfig has no current context'
      : `the kubeconfig has no context ${JSON.stringify(name)}`,
    { hints: [known] },
  )
}

function serverOf(name: string, { server }: ClusterEntry): URL {
  if (server === undefined) throw invalidEntry('cluster', name, 'it has no server')
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (url?.protocol === 'https:') return url
  throw invalidEntry(
    'cluster',
    name,
    'its server is not an https URL',
    'use the https URL of the API server: credentials are sent over https only',
  )
}

/** kubectl supports SOCKS proxies too; kyconnect does not. */
function proxyOf(name: string, { proxyUrl }: ClusterEntry): URL | undefined {
  if (proxyUrl === undefined) return undefined
  if (!URL.canParse(proxyUrl)) throw invalidEntry('cluster', name, 'its proxy-url is not a valid URL')
  const url = new URL(proxyUrl)
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw invalidEntry(
    'cluster',
    name,
    `its proxy-url has the scheme ${url.protocol.slice(0, -1)}: only http and https proxies are supported`,
    'use an HTTP proxy with CONNECT',
  )
}

async function readCa(
  name: string,
  { caFile, caData }: ClusterEntry,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (caFile === undefined && caData === undefined) return undefined
  const pem =
    caFile === undefined
      ? Buffer.from(caData ?? '', 'base64').toString('utf8')
      : await readLocalFile(caFile, signal).catch((error: unknown) => {
          signal.throwIfAborted()
          throw new ClusterAccessError(
            `the certificate-authority ${caFile} of the cluster "${name}" cannot be read: ${fileProblem(error)}`,
            {
              reason: errorCodeOf(error),
              hints: ['check the path: a relative one is relative to the folder of the kubeconfig'],
            },
          )
        })
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw invalidEntry('cluster', name, 'its CA is not a certificate in PEM')
}

/** What a plugin learns about the cluster, if its provideClusterInfo is true. */
function execCluster(cluster: ClusterEntry, ca: string | undefined): ExecCluster {
  return {
    server: cluster.server,
    ...(cluster.serverName === undefined ? {} : { 'tls-server-name': cluster.serverName }),
    ...(cluster.insecure ? { 'insecure-skip-tls-verify': true } : {}),
    ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
    ...(cluster.proxyUrl === undefined ? {} : { 'proxy-url': cluster.proxyUrl }),
    config: cluster.execConfig ?? null,
  }
}

async function kubeconfigFiles({ kubeconfig }: ClusterChoice, location: KubeconfigLocation): Promise<string[]> {
  if (kubeconfig !== undefined) return [resolve(kubeconfig)]
  const listed = (location.environment['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '')
  if (listed.length > 0) return listed.map((file) => resolve(file))
  const usual = join(location.userHome, '.kube', 'config')
  return (await isThere(usual)) ? [usual] : []
}

/** Merges files as kubectl does: the first entry with a name counts, and the first current context; if there are several files, missing ones are skipped. */
async function mergeFiles(files: readonly string[], signal: AbortSignal): Promise<Kubeconfig> {
  const present = files.length === 1 ? files : await existing(files)
  if (present.length === 0) {
    throw new UsageError(`none of the files of KUBECONFIG exists: ${files.join(', ')}`, {
      hints: ['check KUBECONFIG, or name one with --kubeconfig <file>'],
    })
  }
  const configs = await Promise.all(present.map((file) => readKubeconfig(file, signal)))
  const first = <T>(of: (config: Kubeconfig) => ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    new Map(configs.toReversed().flatMap((config) => [...of(config)]))
  return {
    clusters: first(({ clusters }) => clusters),
    users: first(({ users }) => users),
    contexts: first(({ contexts }) => contexts),
    currentContext: configs.find(({ currentContext }) => currentContext !== undefined)?.currentContext,
  }
}

async function existing(files: readonly string[]): Promise<string[]> {
  const found = await Promise.all(files.map(async (file) => ((await isThere(file)) ? [file] : [])))
  return found.flat()
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
