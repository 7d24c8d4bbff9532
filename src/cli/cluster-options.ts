import { UsageError } from '../errors.js'
import type { ClusterChoice } from '../kubernetes/cluster.js'
import { type ServiceName, usualGatewayService } from '../kubernetes/gateway-service.js'
import type { TokenSpec } from '../kubernetes/token-request.js'
import { parseSeconds } from './route-choice.js'

/** The flags of every command that uses a cluster. */
export interface ClusterOptions {
  readonly kubeconfig?: string
  readonly context?: string
  readonly gatewayService?: string
  readonly nodePort?: string
  readonly proxy?: string
}

/** The further flags of a command that gets a token from a cluster. */
export interface TokenOptions extends ClusterOptions {
  readonly namespace?: string
  readonly tenant?: string
  readonly group?: string
  readonly wait?: string
  readonly createApp?: true
}

const defaultWaitSeconds = '60'

export function clusterChoice(options: TokenOptions): ClusterChoice {
  return { kubeconfig: options.kubeconfig, context: options.context, namespace: options.namespace }
}

/** @throws UsageError */
export function tokenSpec(app: string, { tenant, group, wait = defaultWaitSeconds }: TokenOptions): TokenSpec {
  if (!isSubdomain(app)) {
    throw new UsageError(`${JSON.stringify(app.slice(0, 100))} cannot be the name of an App in a cluster`, {
      hints: ['use lower-case letters, digits, "-" and "." (RFC 1123): kubectl get applications shows the names'],
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

const maxNameLength = 253

/** Whether Kubernetes accepts a name for an object: labels of RFC 1123, joined by dots. */
function isSubdomain(name: string): boolean {
  const isLabel = (label: string): boolean =>
    /^[a-z0-9-]+$/.test(label) && !label.startsWith('-') && !label.endsWith('-')
  return name.length <= maxNameLength && name.split('.').every(isLabel)
}

/** @throws UsageError */
export function gatewayService(text: string | undefined): ServiceName {
  if (text === undefined) return usualGatewayService
  const [, namespace, name] = /^([a-z0-9-]+)\/([a-z0-9.-]+)$/.exec(text) ?? []
  if (namespace !== undefined && name !== undefined) return { namespace, name }
  throw new UsageError(`--gateway-service takes <namespace>/<name>, not ${JSON.stringify(text.slice(0, 100))}`)
}
