import { UsageError } from '../errors.js'
import type { ClusterChoice } from '../kubernetes/cluster.js'
import { type ServiceName, usualGatewayService } from '../kubernetes/gateway-service.js'
import type { TokenSpec } from '../kubernetes/token-request.js'
import { parseSeconds } from './route-choice.js'

/** What every command that asks a cluster takes. */
export interface ClusterOptions {
  readonly kubeconfig?: string
  readonly context?: string
}

/** What a command that asks for a token takes beside it. */
export interface TokenOptions extends ClusterOptions {
  readonly namespace?: string
  readonly tenant?: string
  readonly group?: string
  readonly wait?: string
  readonly createApp?: true
}

const waitSeconds = '60'

export function clusterChoice(options: TokenOptions): ClusterChoice {
  return { kubeconfig: options.kubeconfig, context: options.context, namespace: options.namespace }
}

/** @throws UsageError */
export function tokenSpec(app: string, { tenant, group, wait = waitSeconds }: TokenOptions): TokenSpec {
  const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
  if (app.length > 253 || !new RegExp(`^${label}(\\.${label})*$`).test(app)) {
    throw new UsageError(`${JSON.stringify(app.slice(0, 100))} cannot be the name of an App in a cluster`, {
      hints: ['lower-case letters, digits, "-" and "." (RFC 1123), as kubectl get applications shows them'],
    })
  }
  if ((tenant === undefined) !== (group === undefined))
    throw new UsageError('--tenant and --group need each other', { hints: ['give both (central mode), or neither'] })
  return {
    app,
    owner: tenant === undefined || group === undefined ? undefined : { tenant, group },
    waitMs: parseSeconds(wait, '--wait') * 1000,
  }
}

/** @throws UsageError */
export function gatewayService(text: string | undefined): ServiceName {
  if (text === undefined) return usualGatewayService
  const [, namespace, name] = /^([a-z0-9-]+)\/([a-z0-9.-]+)$/.exec(text) ?? []
  if (namespace !== undefined && name !== undefined) return { namespace, name }
  throw new UsageError(`--gateway-service takes <namespace>/<name>, not ${JSON.stringify(text.slice(0, 100))}`)
}
