import type { Emit } from '../progress.js'
import type { TokenSpec } from './token-request.js'
import type { ApiRequest, KubernetesApi } from './api.js'
import { apiRefusal } from './api-failure.js'
import { applications } from './resource.js'

/**
 * Makes sure that the cluster has an Application for the App, or warns: pairing works without one, but the App's own paths then answer
 * 404 (docs/contract.md §1). An account without the right to look can still pair.
 * @param create whether a missing one is created
 * @throws RequestRefusedError when it cannot be created; and as KubernetesApi.request
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
  const created = await api.request(creation, deps.signal)
  if (created.status < 400) deps.emit({ type: 'notice', notice: 'application-created', app })
  else if (created.status !== 409) throw apiRefusal(created.status, created.body, creation, api.cluster)
}
