import type { Emit } from '../progress.js'
import type { TokenSpec } from './token-request.js'
import type { ApiRequest, KubernetesApi } from './api.js'
import { apiRefusal } from './api-failure.js'
import { applications } from './resource.js'

/**
 * Sees to it that the App exists, as an Application of the cluster: pairing works without one, but the App's own paths answer 404
 * then (docs/contract.md §1). Whoever may not look is not stopped.
 * @param create whether one that is missing is created
 * @throws RequestRefusedError when it cannot be created
 */
export async function ensureApplication(
  api: KubernetesApi,
  { app, owner }: Pick<TokenSpec, 'app' | 'owner'>,
  create: boolean,
  deps: { readonly signal: AbortSignal; readonly emit: Emit },
): Promise<void> {
  const request: ApiRequest = { verb: 'get', kind: applications, name: app }
  const found = await api.request(request, deps.signal)
  if (found.status < 400) return
  if (!create) {
    if (found.status === 404) deps.emit({ type: 'warning', warning: 'application-missing', app })
    return
  }
  if (found.status !== 404 && found.status !== 403) throw apiRefusal(found.status, found.body, request, api.cluster)
  const creation: ApiRequest = {
    verb: 'create',
    kind: applications,
    name: app,
    body: {
      apiVersion: `${applications.group}/${applications.version}`,
      kind: 'Application',
      metadata: { name: app },
      spec: { description: app, labels: {}, services: [], ...owner },
    },
  }
  const made = await api.request(creation, deps.signal)
  if (made.status < 400) deps.emit({ type: 'notice', notice: 'application-created', app })
  else if (made.status !== 409) throw apiRefusal(made.status, made.body, creation, api.cluster)
}
