/**
 * The API server of the cluster that the sandbox stands for, as far as an administrator of the Application Connector meets it: the
 * resources of `resources.ts`, and the controller that answers TokenRequests (contract §0, §1). Written from how kubectl uses it.
 */
import { randomBytes } from 'node:crypto'
import type { Front } from '../http/listener.js'
import type { State } from '../state.js'
import { createApi, type Denial } from './api.js'
import { startController, type ControllerOptions } from './controller.js'
import { complete } from './kinds.js'
import { born, isOf } from './object.js'
import { openObjectStore, type ObjectStore } from './object-store.js'
import { jsonAnswer, Refusal, unauthorized } from './refusal.js'
import { applications, namespaces, RESOURCES, services, tokenRequests } from './resources.js'

export type { ControllerOptions, Denial }

export interface KubernetesOptions {
  /** How the controller of TokenRequests misbehaves. */
  readonly controller?: ControllerOptions
  /** What the user of the kubeconfig may not do. */
  readonly deny?: readonly Denial[]
  /** The CRD is not installed: whoever asks for TokenRequests meets a 404. */
  readonly withoutTokenRequests?: boolean
  /** So many watches are cut after they began. */
  readonly dropWatches?: number
}

/** The cluster's objects, and what the gateway wants to know of them. */
export interface Cluster {
  readonly objects: ObjectStore
  apps(): readonly string[]
  hasApp(name: string): boolean
  onAppGone(listener: (name: string) => void): void
}

const NAMESPACES = ['default', 'kube-system', 'kyma-system', 'kyma-integration']

/** `apps` are there at each start, beside those that were made through the API. */
export function openCluster(apps: readonly string[], state: State, now: Date): Cluster {
  const objects = openObjectStore(state, now)
  for (const name of NAMESPACES) objects.seed(complete(namespaces, born(namespaces, { name }, now)))
  // Not every name that the gateway takes would pass as one of an object.
  for (const name of apps)
    objects.seed(born(applications, { name }, now, { spec: { description: '', labels: {}, services: [] } }))
  return {
    objects,
    apps: () => objects.all().flatMap((object) => (isOf(object, applications) ? [object.metadata.name] : [])),
    hasApp: (name) => objects.get(applications, '', name) !== undefined,
    onAppGone(listener) {
      objects.onChange(({ before, after }) => {
        if (before !== undefined && after === undefined && isOf(before, applications)) listener(before.metadata.name)
      })
    },
  }
}

export interface KubernetesParts {
  readonly gatewayPort: number
  /** Asks the Connector for a token, and the URL with it. */
  readonly issue: (app: string) => { readonly token: string; readonly url: string }
  /** Seconds that a token lives. */
  readonly tokenLife: number
  readonly now: () => Date
  readonly options: KubernetesOptions
}

export interface Kubernetes {
  readonly front: Front
  /** Whoever brings it is let in. */
  readonly token: string
  stop(): void
}

/** The API server's own limit, in bytes. */
const BODY_LIMIT = 3 * 1024 * 1024
const tooLarge = new Refusal(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${BODY_LIMIT}`)

export function startKubernetes({ objects }: Cluster, parts: KubernetesParts): Kubernetes {
  const { now, options, issue, tokenLife: life } = parts
  objects.seed(gatewayService(parts.gatewayPort, now()))
  const backend = createApi({
    objects,
    resources: RESOURCES.filter((resource) => resource !== tokenRequests || options.withoutTokenRequests !== true),
    deny: options.deny ?? [],
    dropWatches: options.dropWatches ?? 0,
    now,
  })
  const stop = startController({ objects, issue, life, now, options: options.controller ?? {} })
  const token = randomBytes(32).toString('base64url')
  const route = { bodyLimit: BODY_LIMIT, tooLarge: jsonAnswer(tooLarge.code, tooLarge.status), backend }
  const front: Front = ({ headers }) =>
    headers.authorization === `Bearer ${token}` ? route : jsonAnswer(unauthorized.code, unauthorized.status)
  return { front, token, stop }
}

/** The Service that shows the gateway's NodePort (contract §0). */
function gatewayService(nodePort: number, now: Date): ReturnType<typeof born> {
  const metadata = { name: 'application-connector-ingress-nginx-ingress-controller', namespace: 'kyma-system' }
  const ports = [
    { name: 'http', port: 80, nodePort: 30_080 },
    { name: 'https', port: 443, nodePort },
  ]
  return complete(services, born(services, metadata, now, { spec: { type: 'NodePort', ports } }))
}
