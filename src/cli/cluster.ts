import { X509Certificate } from 'node:crypto'
import { KyconnectError, NetworkError } from '../errors.js'
import type { Identity } from '../identity/identity.js'
import type { ClusterRun } from '../kyconnect.js'
import type { KubernetesApi } from '../kubernetes/api.js'
import { kubectlDelete } from '../kubernetes/token-request-failure.js'
import type { Owner } from '../kubernetes/token-request-object.js'
import type { Emit } from '../progress.js'
import type { ClusterOptions, TokenOptions } from './cluster-options.js'
import { clusterChoice, gatewayService, tokenSpec } from './cluster-options.js'
import type { Context } from './context.js'
import type { OutputOptions } from './output/output.js'
import type { ProgressRenderer } from './output/progress-renderer.js'
import { parseProxy } from './route-choice.js'
import { parseTokenUrl } from './token-url-text.js'

/** A person may have to log in. */
const pluginTimeoutMs = 60_000

/** How a command uses a cluster. A plugin of the kubeconfig may ask its questions on a terminal. */
export function clusterRun(
  { proxy, json }: Pick<ClusterOptions, 'proxy'> & OutputOptions,
  { emit, trace }: Pick<ProgressRenderer, 'emit' | 'trace'>,
  timeoutMs: number,
  { stdin }: Context,
): ClusterRun {
  return {
    emit,
    trace,
    proxy: proxy === undefined ? undefined : parseProxy(proxy),
    timeoutMs,
    pluginTimeoutMs,
    isInteractive: stdin.isTerminal && json !== true,
  }
}

/** Gets a token URL from a cluster for `use`, and cleans up in the cluster afterwards, whatever happens. */
export async function withClusterToken<T>(
  app: string,
  options: TokenOptions,
  run: ClusterRun,
  { kyconnect }: Context,
  use: (tokenUrl: () => Promise<URL>) => Promise<T>,
): Promise<T> {
  const { emit } = run
  const spec = tokenSpec(app, options)
  const api = await kyconnect.openCluster(clusterChoice(options), run)
  const { context, server, namespace } = api.cluster
  let discard: (() => Promise<void>) | undefined
  try {
    return await use(async () => {
      emit({ type: 'started', step: 'cluster' })
      await kyconnect.ensureApplication(api, spec, options.createApp === true, emit)
      emit({ type: 'finished', step: 'cluster', context, server: server.origin, namespace })
      emit({ type: 'started', step: 'token-url' })
      const issued = await kyconnect.requestToken(api, spec, emit)
      discard = issued.discard
      const { url } = parseTokenUrl(issued.url)
      emit({ type: 'finished', step: 'token-url', host: url.host, tokenRequest: app })
      return url
    })
  } finally {
    await discard?.().catch((error: unknown) => {
      if (!(error instanceof KyconnectError)) throw error
      const command = `kubectl ${kubectlDelete(api, app)}`
      emit({ type: 'warning', warning: 'token-request-left', cause: error.message, command })
    })
    await api.close()
  }
}

/** As {@link withClusterToken}, for a pairing. Warns when its certificate shows that tenant and group had no effect. */
export async function pairWithClusterToken(
  app: string,
  options: TokenOptions,
  run: ClusterRun,
  context: Context,
  pair: (tokenUrl: () => Promise<URL>) => Promise<Identity>,
): Promise<Identity> {
  const seen = { ownerIgnored: false }
  const emit: Emit = (event) => {
    if (event.type === 'warning' && event.warning === 'owner-ignored') seen.ownerIgnored = true
    run.emit(event)
  }
  const identity = await withClusterToken(app, options, { ...run, emit }, context, pair)
  const { owner } = tokenSpec(app, options)
  if (owner !== undefined && !seen.ownerIgnored && !isCarried(owner, identity.material.leaf))
    emit({ type: 'warning', warning: 'owner-ignored', ...owner, by: 'connector' })
  return identity
}

/** Whether a certificate has the tenant as its O and the group as its OU, as in central mode (docs/contract.md §4). */
function isCarried({ tenant, group }: Owner, certificate: string): boolean {
  const { subject } = new X509Certificate(certificate).toLegacyObject()
  return subject.O === tenant && subject.OU === group
}

/** Reads the NodePort of the gateway from its Service in the cluster. */
export async function nodePortOfCluster(
  options: ClusterOptions,
  run: ClusterRun,
  { kyconnect }: Context,
): Promise<number> {
  const service = gatewayService(options.gatewayService)
  const api = await kyconnect.openCluster(clusterChoice(options), run)
  try {
    return await kyconnect.nodePort(api, service)
  } finally {
    await api.close()
  }
}

/** Short, because a hint only makes an error more helpful. */
const hintTimeoutMs = 3000

/** The cluster that a hint may come from. */
export interface HintOptions extends ClusterOptions {
  /** Whether the token of this run came from the cluster. */
  readonly isTokenOfCluster?: boolean
}

/**
 * Adds to a network error what a cluster knows about its own gateway: its NodePort when port 443 refused and none was given, its
 * node's address when the name does not resolve. A kubeconfig often leads to another cluster than the one that failed, so the hint is
 * left out unless the token came from this cluster, or the command line names the cluster for this gateway. Where the cluster does not
 * answer, the error stays as it is.
 * @param again the command that continues, with a NodePort
 */
export async function hintFromCluster(
  error: unknown,
  options: HintOptions,
  nodePort: number | null | undefined,
  again: (nodePort: number) => string,
  { kyconnect }: Context,
): Promise<void> {
  if (!(error instanceof NetworkError) || error.target === undefined) return
  const { host, port } = error.target
  // The two names of a local cluster (docs/contract.md §0); only the gateway is behind the NodePort.
  const isGateway = host.startsWith('gateway.')
  const isRefused = error.reason === 'ECONNREFUSED' && isGateway && port === 443 && typeof nodePort !== 'number'
  const isUnknown =
    /^(?:ENOTFOUND|EAI_)/.test(error.reason ?? '') && (isGateway || host.startsWith('connector-service.'))
  if (!isRefused && !isUnknown) return
  if (options.isTokenOfCluster !== true && !isNamed(options)) return
  const run = {
    trace: undefined,
    emit: () => undefined,
    proxy: options.proxy === undefined ? undefined : parseProxy(options.proxy),
    timeoutMs: hintTimeoutMs,
    pluginTimeoutMs: hintTimeoutMs,
    isInteractive: false,
  }
  let api: KubernetesApi | undefined
  try {
    api = await kyconnect.openCluster(clusterChoice(options), run)
    if (isRefused) {
      const found = await kyconnect.nodePort(api, gatewayService(options.gatewayService))
      error.addHint(`the cluster's gateway is behind NodePort ${found}: ${again(found)}`)
    } else {
      const address = await kyconnect.nodeAddress(api)
      if (address !== undefined) {
        error.replaceHints(
          `the cluster's node has the address ${address}: add --resolve '${host}:${port}:${address}', or the line "${address} ${host}" to /etc/hosts`,
        )
      }
    }
  } catch (failure) {
    if (!(failure instanceof KyconnectError)) throw failure
  } finally {
    await api?.close()
  }
}

/** Whether the command line, not a setting of the machine, names the cluster of the gateway. */
function isNamed({ context, kubeconfig, nodePort }: ClusterOptions): boolean {
  return context !== undefined || kubeconfig !== undefined || nodePort === 'auto'
}
