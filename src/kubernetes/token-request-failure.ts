import { type KyconnectError, RequestRefusedError, ServiceFailedError, TimeoutError } from '../errors.js'
import { member, text } from '../json.js'
import { apiRefusal } from './api-failure.js'
import type { ApiRequest, KubernetesApi } from './api.js'
import { resourceName, tokenRequests } from './resource.js'
import { statusMessage } from './status.js'
import type { Owner } from './token-request-object.js'
import { shellWord } from '../shell-word.js'

/** The arguments with which kubectl deletes a TokenRequest. */
export function kubectlDelete({ cluster }: KubernetesApi, app: string): string {
  return `--context ${shellWord(cluster.context)} -n ${shellWord(cluster.namespace)} delete ${resourceName(tokenRequests)} ${app}`
}

function controllerLog({ cluster }: KubernetesApi): string {
  return `kubectl --context ${shellWord(cluster.context)} -n kyma-integration logs -l app=connection-token-handler`
}

/** Whether the cluster knows the kind. The API server names the object that it did not find, but not one of an unknown kind. */
export function isInstalled(notFound: object): boolean {
  return text(member(notFound, 'details'), 'name') !== undefined
}

/** The error for a 4xx to a request about TokenRequests. */
export function tokenRequestRefusal(
  status: number,
  body: object,
  request: ApiRequest,
  { cluster }: KubernetesApi,
): KyconnectError {
  const { context, namespace } = cluster
  if (status === 404 && statusMessage(body).startsWith('namespaces ')) {
    return new RequestRefusedError(`the cluster has no namespace "${namespace}" (404)`, {
      hints: ['name the namespace for TokenRequests with --namespace <name>'],
      details: { status, namespace, context },
    })
  }
  if (status === 404 && !isInstalled(body)) {
    return new RequestRefusedError(
      `the cluster of the context "${context}" does not know TokenRequests (404): Kyma's Application Connector is not installed there`,
      {
        hints: [
          `check that it is the right cluster: kubectl --context ${shellWord(context)} get crd ${resourceName(tokenRequests)}`,
          'choose another with --context <name>',
        ],
        details: { status, context },
      },
    )
  }
  return apiRefusal(status, body, request, cluster)
}

/**
 * The error for a TokenRequest whose state is OK and whose URL is empty. The controller writes that when the Connector refuses, because it
 * ignores the status of the Connector's answer (docs/contract.md §1).
 */
export function tokenRefused(api: KubernetesApi, app: string, owner: Owner | undefined): RequestRefusedError {
  return new RequestRefusedError(
    `the cluster issued no token for the App "${app}": the status of its TokenRequest is OK, but the URL is empty, as after a refusal by the Connector Service`,
    {
      reason: 'EMPTY_URL',
      hints: [
        owner === undefined
          ? 'if the cluster runs in central mode, name the tenant and the group: --tenant <name> --group <name>'
          : `check the tenant "${owner.tenant}" and the group "${owner.group}"`,
        `look for the reason in the log of the controller: ${controllerLog(api)}`,
      ],
      details: { context: api.cluster.context, namespace: api.cluster.namespace, app },
    },
  )
}

export function deletedByAnother(app: string): RequestRefusedError {
  return new RequestRefusedError(
    `the TokenRequest "${app}" was deleted or replaced by another program before its token URL arrived`,
    { hints: ['run the command again', 'check that no other program pairs the same App at the same time'] },
  )
}

/** The error when no URL arrived within the time limit. @param state the last state that the controller wrote; undefined: none */
export function noTokenUrl(
  api: KubernetesApi,
  app: string,
  state: string | undefined,
  waitMs: number,
): TimeoutError | ServiceFailedError {
  const { namespace } = api.cluster
  const late = `no token URL arrived within ${waitMs / 1000} s`
  if (state === undefined) {
    return new TimeoutError(
      `${late}: the cluster's controller did not handle the TokenRequest "${app}" in the namespace "${namespace}"`,
      { hints: [`check that the controller is running: ${controllerLog(api)}`, 'wait longer with --wait <seconds>'] },
    )
  }
  return new ServiceFailedError(`${late}: the state of the TokenRequest "${app}" is "${state}", not OK`, {
    hints: [
      `look for the reason in the log of the controller, which cannot reach the Connector Service: ${controllerLog(api)}`,
      'wait longer with --wait <seconds>',
    ],
  })
}
