import { KyconnectError, NetworkError } from '../errors.js'
import type { RunOptions } from '../kyconnect.js'
import { kubectlDelete } from '../kubernetes/token-request.js'
import type { ClusterOptions, TokenOptions } from './cluster-options.js'
import { clusterChoice, gatewayService, tokenWish } from './cluster-options.js'
import type { Context } from './context.js'
import type { Steps } from './output/steps.js'
import { parseTokenUrl } from './token-url.js'

type Asking = Pick<RunOptions, 'trace'> & { readonly timeoutMs: number }

/** A token URL from a cluster, which is told which it is, used and tidied up after, whatever happens. */
export async function withClusterToken<T>(
  app: string,
  options: TokenOptions,
  asking: Asking,
  steps: Steps,
  { kyconnect }: Context,
  use: (tokenUrl: () => Promise<URL>) => Promise<T>,
): Promise<T> {
  const wish = tokenWish(app, options)
  const api = await kyconnect.openCluster(clusterChoice(options), asking)
  const { context, server, namespace } = api.cluster
  let discard: (() => Promise<void>) | undefined
  try {
    return await use(async () => {
      steps.begin('Cluster')
      await kyconnect.ensureApplication(api, wish, options.createApp === true, steps)
      steps.done('Cluster', `context ${context}, ${server.origin}, namespace ${namespace}`)
      steps.begin('Token URL')
      const issued = await kyconnect.requestToken(api, wish, steps)
      discard = issued.discard
      const { url } = parseTokenUrl(issued.url)
      steps.done('Token URL', `of ${url.host}, by the TokenRequest ${app}`)
      return url
    })
  } finally {
    await discard?.().catch((error: unknown) => {
      if (!(error instanceof KyconnectError)) throw error
      steps.warn(
        `the TokenRequest could not be deleted: ${error.message}; delete it with: kubectl ${kubectlDelete(api, app)}`,
      )
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
  const refused =
    error.details?.['reason'] === 'ECONNREFUSED' && error.details['port'] === 443 && nodePort === undefined
  const unknown = error.hint?.includes('<address>') === true
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
      if (address !== undefined) error.replaceHint((error.hint ?? '').replaceAll('<address>', address))
    }
  } catch (failure) {
    if (!(failure instanceof KyconnectError)) throw failure
  }
}
