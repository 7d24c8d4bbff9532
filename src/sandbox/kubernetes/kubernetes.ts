/**
 * The API server of the sandbox's cluster, as far as an administrator of the Application Connector uses it: the resources of
 * `resources.ts`, and the controller that answers TokenRequests (docs/contract.md §0, §1). It is written from the way kubectl uses it.
 */
import { randomBytes, type X509Certificate } from 'node:crypto'
import type { Front } from '../http/listener.js'
import { createApi, type Denial } from './api.js'
import { createAuthentication } from './authentication.js'
import type { Cluster } from './cluster.js'
import { startController, type ControllerOptions, type IssueToken } from './controller.js'
import { complete } from './kinds.js'
import { born } from './object.js'
import { jsonAnswer, Refusal, unauthorized } from './refusal.js'
import { RESOURCES, services, tokenRequests } from './resources.js'

export interface KubernetesOptions {
  /** Faults of the controller of TokenRequests. */
  readonly controller?: ControllerOptions
  /** Verbs and resources that are forbidden to the users of the kubeconfig. */
  readonly deny?: readonly Denial[]
  /** The CRD is not installed: requests for TokenRequests are answered with 404. */
  readonly withoutTokenRequests?: boolean
  /** The number of watches that are cut soon after they began. */
  readonly dropWatches?: number
}

export interface KubernetesParts {
  readonly gatewayPort: number
  /** The CA of the client certificates. */
  readonly authority: X509Certificate
  readonly issue: IssueToken
  readonly tokenLifetimeSeconds: number
  readonly now: () => Date
  readonly options: KubernetesOptions
}

export interface Kubernetes {
  readonly front: Front
  /** The bearer token that the API accepts. */
  readonly token: string
  stop(): void
}

/** The API server's own limit. */
const MAX_BODY_BYTES = 3 * 1024 * 1024
const tooLarge = new Refusal(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY_BYTES}`)

export function startKubernetes({ objects }: Cluster, parts: KubernetesParts): Kubernetes {
  const { now, options, issue, tokenLifetimeSeconds } = parts
  objects.seed(gatewayService(parts.gatewayPort, now()))
  const backend = createApi({
    objects,
    resources: RESOURCES.filter((resource) => resource !== tokenRequests || options.withoutTokenRequests !== true),
    deny: options.deny ?? [],
    dropWatches: options.dropWatches ?? 0,
    now,
  })
  const stop = startController({ objects, issue, tokenLifetimeSeconds, now, options: options.controller ?? {} })
  const token = randomBytes(32).toString('base64url')
  const isAuthentic = createAuthentication(token, parts.authority, now)
  const route = { maxBodyBytes: MAX_BODY_BYTES, tooLarge: jsonAnswer(tooLarge.code, tooLarge.status), backend }
  const front: Front = (head, socket) =>
    isAuthentic(head, socket) ? route : jsonAnswer(unauthorized.code, unauthorized.status)
  return { front, token, stop }
}

/** The Service that names the gateway's NodePort (docs/contract.md §0). */
function gatewayService(nodePort: number, now: Date): ReturnType<typeof born> {
  const metadata = { name: 'application-connector-ingress-nginx-ingress-controller', namespace: 'kyma-system' }
  const ports = [
    { name: 'http', port: 80, nodePort: 30_080 },
    { name: 'https', port: 443, nodePort },
  ]
  return complete(services, born(services, metadata, now, { spec: { type: 'NodePort', ports } }))
}
