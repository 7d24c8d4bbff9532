import type { TokenWish } from './token-request.js'
import type { Asked, KubernetesApi } from './api.js'
import { apiRefusal } from './api-failure.js'
import { applications } from './resource.js'

/**
 * Sees to it that the App exists, as an Application of the cluster: pairing works without one, but the App's own paths answer 404
 * then (contract section 1). Whoever may not look is not stopped.
 * @param create whether one that is missing is created
 * @throws RequestRefusedError when it cannot be created
 */
export async function ensureApplication(
  api: KubernetesApi,
  { app, owner }: Pick<TokenWish, 'app' | 'owner'>,
  create: boolean,
  deps: { readonly signal: AbortSignal; readonly warn: (text: string) => void; readonly note: (text: string) => void },
): Promise<void> {
  const asked: Asked = { verb: 'get', kind: applications, name: app }
  const found = await api.ask(asked, deps.signal)
  if (found.status < 400) return
  if (!create) {
    if (found.status === 404)
      deps.warn(
        `there is no Application "${app}" in the cluster: pairing works, but its own paths answer 404 until it is there (--create-app makes it)`,
      )
    return
  }
  if (found.status !== 404 && found.status !== 403) throw apiRefusal(found.status, found.body, asked, api.cluster)
  const creation: Asked = {
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
  const made = await api.ask(creation, deps.signal)
  if (made.status < 400) deps.note(`the Application "${app}" was created`)
  else if (made.status !== 409) throw apiRefusal(made.status, made.body, creation, api.cluster)
}
