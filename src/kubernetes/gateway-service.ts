import { AnswerMalformedError, ServiceFailedError, UsageError } from '../errors.js'
import type { KubernetesApi } from './api.js'
import { member, objects, text, valueOf } from '../json.js'
import { nodes, services } from './resource.js'

/** The Service of the gateway. */
export interface ServiceName {
  readonly namespace: string
  readonly name: string
}

/** As Kyma names it (docs/contract.md §0). */
export const usualGatewayService: ServiceName = {
  namespace: 'kyma-system',
  name: 'application-connector-ingress-nginx-ingress-controller',
}

const gatewayPort = 443

/**
 * The NodePort of the gateway, from its Service.
 * @throws UsageError when the Service needs none (a LoadBalancer), or cannot be reached from outside (a ClusterIP); AnswerMalformedError
 * when the answer is not a Service; and as KubernetesApi.requestOk
 */
export async function readNodePort(api: KubernetesApi, service: ServiceName, signal: AbortSignal): Promise<number> {
  const found = await api.requestOk({ verb: 'get', kind: services, ...service }, signal)
  const shown = `${service.namespace}/${service.name}`
  const spec = member(found, 'spec')
  const type = text(spec, 'type')
  // The API server fills it in where the author of the Service named none.
  if (type === undefined) {
    throw new AnswerMalformedError(
      `the answer of the Kubernetes API to the request for the Service ${shown} is not a Service: it has no type`,
      { hints: [`check that ${api.cluster.server.origin} is the API server of the cluster`] },
    )
  }
  if (type === 'LoadBalancer') {
    throw new UsageError(
      `the gateway's Service ${shown} is a LoadBalancer: it listens on port 443, without a NodePort`,
      {
        hints: [`omit --node-port${addressHint(found)}`],
      },
    )
  }
  const port = objects(spec, 'ports').find((candidate) => valueOf(candidate, 'port') === gatewayPort)
  const nodePort: unknown = port === undefined ? undefined : valueOf(port, 'nodePort')
  if (typeof nodePort === 'number' && Number.isInteger(nodePort) && nodePort >= 1 && nodePort <= 65535) return nodePort
  if (type === 'NodePort') {
    throw new ServiceFailedError(`the gateway's Service ${shown} has no NodePort for its port ${gatewayPort}`, {
      hints: [`check it with: kubectl -n ${service.namespace} get svc ${service.name} -o yaml`],
    })
  }
  throw new UsageError(
    `the gateway's Service ${shown} is a ${type}: it has no NodePort, and cannot be reached from outside the cluster`,
    {
      hints: [
        'if another Service leads to the gateway, name it with --gateway-service <namespace>/<name>',
        'or omit --node-port',
      ],
    },
  )
}

function addressHint(service: object): string {
  const [first = {}] = objects(member(member(service, 'status'), 'loadBalancer'), 'ingress')
  const ip = text(first, 'ip')
  return ip === undefined ? '' : `; if its name does not resolve, add --resolve '<gateway>:443:${ip}'`
}

/** The address of a local cluster's node; undefined when it is not known. */
export async function nodeAddress(api: KubernetesApi, signal: AbortSignal): Promise<string | undefined> {
  const { status, body } = await api.request({ verb: 'list', kind: nodes, query: { limit: '1' } }, signal)
  const addresses =
    status < 400 ? objects(body, 'items').flatMap((node) => objects(member(node, 'status'), 'addresses')) : []
  const internal = addresses.find((address) => text(address, 'type') === 'InternalIP')
  if (internal !== undefined) return text(internal, 'address')
  // The API server of a local cluster runs on its node.
  const host = api.cluster.server.hostname
  return /^[\d.]+$/.test(host) ? host : undefined
}
