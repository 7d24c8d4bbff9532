import { access } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { delimiter, join, resolve } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node/dist/config.js'
import { ClusterAccessError, errorCodeOf, UsageError } from '../errors.js'
import { oneLine } from '../redaction.js'
import type { Cluster, ClusterChoice, KubeconfigLocation } from './cluster.js'

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'
/** Milliseconds that a plugin may take to come up with credentials: a person may have to log in. */
const pluginTime = 60_000
const longestSaying = 300

/** Whether there is a cluster to ask: told without loading anything. */
export async function hasCluster(choice: ClusterChoice, runtime: KubeconfigLocation): Promise<boolean> {
  if (choice.kubeconfig !== undefined || choice.context !== undefined) return true
  return (await kubeconfigFiles(choice, runtime)).length > 0 || isThere(serviceAccountToken)
}

/**
 * Finds the cluster of a choice.
 * @throws UsageError when there is no kubeconfig, or no such context in it
 */
export async function openCluster(choice: ClusterChoice, runtime: KubeconfigLocation): Promise<Cluster> {
  const files = await kubeconfigFiles(choice, runtime)
  const { KubeConfig: Config } = await import('./client-node.js')
  const config = new Config()
  if (files.length > 0) await mergeFiles(config, files, Config)
  else if (await isThere(serviceAccountToken)) config.loadFromCluster()
  else {
    throw new UsageError('there is no kubeconfig, and this is no pod of a cluster', {
      hints: [
        'name one with --kubeconfig <file> or KUBECONFIG',
        'or get a token URL from the administrator: kyconnect pair --url -',
      ],
    })
  }
  return choose(config, choice)
}

function choose(config: KubeConfig, choice: ClusterChoice): Cluster {
  const names = config.getContexts().map(({ name }) => name)
  const name = choice.context ?? config.getCurrentContext()
  if (!name || !names.includes(name)) {
    const known = names.length === 0 ? 'there is none in it' : `there are: ${names.slice(0, 20).join(', ')}`
    throw new UsageError(
      name ? `the kubeconfig has no context ${JSON.stringify(name)}` : 'the kubeconfig names no current context',
      { hints: [known, `choose one with --context <name>`] },
    )
  }
  config.setCurrentContext(name)
  const cluster = config.getCurrentCluster()
  if (cluster === null || !URL.canParse(cluster.server)) {
    throw new UsageError(`the context ${JSON.stringify(name)} leads to no cluster`, {
      hints: ['check it with: kubectl config view'],
    })
  }
  const server = new URL(cluster.server)
  if (server.protocol !== 'https:') {
    throw new UsageError(
      `the cluster of the context ${JSON.stringify(name)} is not reached by https: ${server.origin}`,
      {
        hints: ['credentials are sent over https only'],
      },
    )
  }
  return {
    context: name,
    server,
    namespace: choice.namespace ?? (config.getContextObject(name)?.namespace || 'default'),
    authenticate: () => authenticate(config, name),
  }
}

/** What the library throws may quote the kubeconfig, so nothing of it is passed on but a plugin's own words. */
async function authenticate(config: KubeConfig, context: string): Promise<RequestOptions> {
  const options: RequestOptions = {}
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer for ${pluginTime / 1000} s`))
    }, pluginTime)
  })
  try {
    await Promise.race([config.applyToHTTPSOptions(options), tooLong])
    return options
  } catch (error) {
    const said = error instanceof Error ? oneLine(error.message).slice(0, longestSaying) : ''
    throw new ClusterAccessError(`no credentials for the context "${context}": ${said === '' ? 'they failed' : said}`, {
      hints: [
        `check them with: kubectl --context ${context} auth can-i create tokenrequests.applicationconnector.kyma-project.io`,
      ],
    })
  } finally {
    clearTimeout(timer)
  }
}

async function kubeconfigFiles({ kubeconfig }: ClusterChoice, runtime: KubeconfigLocation): Promise<string[]> {
  if (kubeconfig !== undefined) return [resolve(kubeconfig)]
  const listed = (runtime.environment['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '')
  if (listed.length > 0) return listed.map((file) => resolve(file))
  const usual = join(runtime.userHome, '.kube', 'config')
  return (await isThere(usual)) ? [usual] : []
}

/** As kubectl merges: of two things with one name the first counts, and so does the first current context; a file that is not there is passed over when there are others. */
async function mergeFiles(config: KubeConfig, files: readonly string[], Config: new () => KubeConfig): Promise<void> {
  const there = files.length === 1 ? files : await existing(files)
  if (there.length === 0) {
    throw new UsageError(`none of the files of KUBECONFIG is there: ${files.join(', ')}`, {
      hints: ['check KUBECONFIG, or name one with --kubeconfig <file>'],
    })
  }
  for (const file of there) {
    const one = load(new Config(), file)
    const missing = <T extends { name: string }>(list: readonly T[], known: readonly T[]): T[] =>
      list.filter((item) => !known.some(({ name }) => name === item.name))
    for (const cluster of missing(one.clusters, config.clusters)) config.addCluster(cluster)
    for (const user of missing(one.users, config.users)) config.addUser(user)
    for (const context of missing(one.contexts, config.contexts)) config.addContext(context)
    if (!config.currentContext) config.setCurrentContext(one.currentContext)
  }
}

function load(config: KubeConfig, file: string): KubeConfig {
  try {
    config.loadFromFile(file)
    return config
  } catch (error) {
    const code = errorCodeOf(error)
    const reason = code === '' ? '' : ` (${code})`
    throw new UsageError(`${JSON.stringify(file)} cannot be read as a kubeconfig${reason}`, {
      hints: ['check it with: kubectl config view', 'name another with --kubeconfig <file> or KUBECONFIG'],
    })
  }
}

async function existing(files: readonly string[]): Promise<string[]> {
  const found = await Promise.all(files.map(async (file) => ((await isThere(file)) ? [file] : [])))
  return found.flat()
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
