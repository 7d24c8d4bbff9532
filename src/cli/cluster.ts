import { KyconnectError, NetworkError } from '../errors.js'
import type { RunOptions } from '../kyconnect.js'
import { kubectlDelete } from '../kubernetes/token-request.js'
import type { ClusterOptions, TokenOptions } from './cluster-options.js'
import { clusterChoice, gatewayService, tokenSpec } from './cluster-options.js'
import type { Context } from './context.js'
import type { ProgressRenderer } from './output/progress-renderer.js'
import { parseTokenUrl } from './token-url-text.js'

type Asking = Pick<RunOptions, 'trace'> & { readonly timeoutMs: number }

/** Reports which cluster it is, gets a token URL from it, uses it, and deletes the TokenRequest afterwards, whatever happens. */
export async function withClusterToken<T>(
  app: string,
  options: TokenOptions,
  asking: Asking,
  { emit }: Pick<ProgressRenderer, 'emit'>,
  { kyconnect }: Context,
  use: (tokenUrl: () => Promise<URL>) => Promise<T>,
): Promise<T> {
  const spec = tokenSpec(app, options)
  const api = await kyconnect.openCluster(clusterChoice(options), asking)
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
  }
}

/** The NodePort of the gateway, as its Service in the cluster has it. */
export async function nodePortOfCluster(
  options: ClusterOptions & { readonly gatewayService?: string },
  asking: Asking,
  { kyconnect }: Context,
): Promise<number> {
  const service = gatewayService(options.gatewayService)
  return kyconnect.nodePort(await kyconnect.openCluster(clusterChoice(options), asking), service)
}

/** Milliseconds that a better hint may take. */
const hintTime = 3000

/**
 * What a cluster knows of a gateway that could not be reached: its NodePort when 443 refused and none was given, its node's
 * address when the name does not resolve. Without a cluster, or when it does not tell, the error stays as it is.
 * @param again the command that goes on, with a place for the port
 */
export async function hintFromCluster(
  error: unknown,
  options: ClusterOptions & { readonly gatewayService?: string },
  nodePort: number | undefined,
  again: (nodePort: number) => string,
  context: Context,
): Promise<void> {
  if (!(error instanceof NetworkError)) return
  const refused = error.reason === 'ECONNREFUSED' && error.target?.port === 443 && nodePort === undefined
  const unknown = /^(ENOTFOUND|EAI_)/.test(error.reason ?? '')
  const { kyconnect } = context
  if ((!refused && !unknown) || !(await kyconnect.hasCluster(clusterChoice(options)))) return
  const asking = { trace: undefined, timeoutMs: hintTime }
  try {
    const api = await kyconnect.openCluster(clusterChoice(options), asking)
    if (refused) {
      const port = await kyconnect.nodePort(api, gatewayService(options.gatewayService))
      error.addHint(`the cluster's gateway is behind NodePort ${port}: ${again(port)}`)
    } else {
      const address = await kyconnect.nodeAddress(api)
      if (address !== undefined && error.target !== undefined) {
        const { host, port } = error.target
        error.replaceHints(
          `the cluster's node has the address ${address}: add --resolve '${host}:${port}:${address}', or the line "${address} ${host}" to /etc/hosts`,
        )
      }
    }
  } catch (failure) {
    if (!(failure instanceof KyconnectError)) throw failure
  }
}
