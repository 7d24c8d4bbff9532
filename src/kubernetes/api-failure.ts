import {
  ClientCertificateRefusedError,
  ClusterAccessError,
  KyconnectError,
  NetworkError,
  RequestRefusedError,
  ServerCertificateError,
  ServiceFailedError,
  TimeoutError,
} from '../errors.js'
import { portOf, withoutBrackets } from '../transport/route.js'
import type { ApiRequest } from './api.js'
import type { Cluster } from './cluster.js'
import { statusMessage } from './status.js'
import { resourceName } from './resource.js'
import { shellWord } from '../shell-word.js'

/** The error for a refusal by the API server; it names the request and the place. */
export function apiRefusal(status: number, body: object, request: ApiRequest, cluster: Cluster): KyconnectError {
  const { verb, kind, name, namespace = cluster.namespace } = request
  const resource = resourceName(kind)
  const where = kind.namespaced ? ` in the namespace "${namespace}"` : ''
  const option = kind.namespaced ? ` -n ${shellWord(namespace)}` : ''
  const what = `${verb} ${resource}${name === undefined ? '' : ` "${name}"`}${where}`
  const message = statusMessage(body)
  const cause = message === '' ? '' : `: ${message}`
  const details = { status, verb, resource, namespace, context: cluster.context }
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
          hints: [`log in again, or check it with: kubectl --context ${shellWord(cluster.context)} get ${resource}`],
        },
      )
    case 403:
      return new RequestRefusedError(`the Kubernetes API does not allow the account to ${what} (403)${cause}`, {
        details,
        hints: [
          `ask the administrator for the right to ${verb} ${resource}${where}`,
          `check it with: kubectl --context ${shellWord(cluster.context)} auth can-i ${verb} ${resource}${option}`,
        ],
      })
    default:
      return new RequestRefusedError(`the Kubernetes API refused to ${what} (${status})${cause}`, {
        details,
        hints: [`check it with: kubectl --context ${shellWord(cluster.context)} get ${resource}${option}`],
      })
  }
}

/** Explains an error of the transport for a cluster. Other errors stay as they are. */
export function apiFailure(error: unknown, { server, context, connection }: Cluster): unknown {
  if (!(error instanceof KyconnectError)) return error
  const { reason, target, message } = error
  const about = {
    ...(reason === undefined ? {} : { reason }),
    ...(target === undefined ? {} : { target }),
    details: { ...error.details, context },
    cause: error,
  }
  if (error instanceof ServerCertificateError && !/alert/i.test(reason ?? '')) {
    return new ClusterAccessError(
      `the certificate of the Kubernetes API at ${server.host} is not trusted: ${reason ?? message}`,
      {
        ...about,
        hints: [`check the CA of the cluster, and its tls-server-name, in the kubeconfig (context "${context}")`],
      },
    )
  }
  if (error instanceof ServerCertificateError || error instanceof ClientCertificateRefusedError) {
    return new ClusterAccessError(
      `the Kubernetes API at ${server.host} refused the TLS connection: ${reason ?? message}`,
      {
        ...about,
        hints: [`check the client certificate in the kubeconfig (context "${context}")`],
      },
    )
  }
  if (error instanceof TimeoutError) {
    return new TimeoutError(`the Kubernetes API did not answer: ${message}`, {
      ...about,
      requestSent: error.requestSent,
      hints: [`check that the cluster is up (context "${context}"), or wait longer with --timeout <seconds>`],
    })
  }
  if (!(error instanceof NetworkError)) return error
  const isProxy =
    target !== undefined && (target.host !== withoutBrackets(server.hostname) || target.port !== portOf(server))
  return new NetworkError(`the Kubernetes API at ${server.host} cannot be reached: ${message}`, {
    ...about,
    requestSent: error.requestSent,
    hints: isProxy
      ? connection.proxy === undefined
        ? error.hints
        : [`check the proxy-url of the cluster in the kubeconfig (context "${context}")`]
      : [
          `check that the cluster is up (context "${context}")`,
          'without a cluster, get a token URL from its administrator: kyconnect pair --url -',
        ],
  })
}
