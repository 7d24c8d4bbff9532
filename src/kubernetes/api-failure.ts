import {
  ClusterAccessError,
  errorCodeOf,
  type KyconnectError,
  NetworkError,
  RequestRefusedError,
  ServiceFailedError,
} from '../errors.js'
import type { ApiRequest } from './api.js'
import type { Cluster } from './cluster.js'
import { statusMessage } from './status.js'
import { resourceName } from './resource.js'

/** A refusal by the API server: what was asked, and where. */
export function apiRefusal(status: number, body: object, request: ApiRequest, cluster: Cluster): KyconnectError {
  const { verb, kind, name } = request
  const resource = resourceName(kind)
  const where = kind.namespaced ? ` in the namespace "${cluster.namespace}"` : ''
  const what = `${verb} ${resource}${name === undefined ? '' : ` "${name}"`}${where}`
  const message = statusMessage(body)
  const cause = message === '' ? '' : `: ${message}`
  const details = { status, verb, resource, namespace: cluster.namespace, context: cluster.context }
  if (status >= 500) {
    return new ServiceFailedError(`the Kubernetes API failed to ${what} (${status})${cause}`, {
      details,
      hints: ['try again later'],
    })
  }
  switch (status) {
    case 401:
      return new RequestRefusedError(
        `the Kubernetes API does not accept the credentials of the context "${cluster.context}" (401): it refused to ${what}`,
        {
          details,
          hints: [`log in again, or check with: kubectl --context ${cluster.context} get ${resource}`],
        },
      )
    case 403:
      return new RequestRefusedError(`the Kubernetes API forbids to ${what} (403)${cause}`, {
        details,
        hints: [
          `the account needs the right to ${verb} ${resource}${where}`,
          `check with: kubectl --context ${cluster.context} auth can-i ${verb} ${resource}${kind.namespaced ? ` -n ${cluster.namespace}` : ''}`,
        ],
      })
    default:
      return new RequestRefusedError(`the Kubernetes API refused to ${what} (${status})${cause}`, {
        details,
        hints: [
          `check with: kubectl --context ${cluster.context} get ${resource}${kind.namespaced ? ` -n ${cluster.namespace}` : ''}`,
        ],
      })
  }
}

/** Reasons of OpenSSL and Node for a server's certificate that is not accepted. */
const certificateCode =
  /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_|CRL_|ERROR_IN_CERT_|ERR_OSSL_X509)/

/** What Node reports when the API server cannot be reached, or the two do not trust each other. */
export function apiFailure(error: unknown, { server, context }: Cluster): KyconnectError {
  const cause = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  const code = errorCodeOf(cause)
  const reason = code === '' && cause instanceof Error ? cause.message : code
  const port = server.port === '' ? 443 : Number(server.port)
  const about = {
    reason,
    target: { host: server.hostname, address: server.hostname, port },
    details: { context },
  }
  if (certificateCode.test(code)) {
    return new ClusterAccessError(`the certificate of the Kubernetes API at ${server.host} is not trusted: ${code}`, {
      ...about,
      hints: [`check the CA of the cluster, and its tls-server-name, in the kubeconfig (context "${context}")`],
    })
  }
  if (/ALERT/.test(code)) {
    return new ClusterAccessError(`the Kubernetes API at ${server.host} refused the TLS connection: ${code}`, {
      ...about,
      hints: [`check the client certificate in the kubeconfig (context "${context}")`],
    })
  }
  return new NetworkError(`the Kubernetes API at ${server.host} cannot be reached: ${reason}`, {
    ...about,
    hints: [
      `check that the cluster is up (context "${context}")`,
      `without a cluster, get a token URL from its administrator: kyconnect pair --url -`,
    ],
  })
}
