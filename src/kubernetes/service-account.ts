import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { UsageError } from '../errors.js'
import { anonymous, type Kubeconfig } from './kubeconfig-file.js'
import { readLocalFile } from './local-file.js'

const folder = '/var/run/secrets/kubernetes.io/serviceaccount'
export const serviceAccountToken = join(folder, 'token')

/**
 * The cluster that a pod runs in, as a kubeconfig with one context.
 * @throws UsageError when the variables that Kubernetes sets in a pod are missing
 */
export async function readServiceAccount({
  environment,
  signal,
}: {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
}): Promise<Kubeconfig> {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = environment
  if (host === '' || port === '') {
    throw new UsageError(
      'no kubeconfig found, and the pod does not name its API server: KUBERNETES_SERVICE_HOST is not set',
      {
        hints: [
          'set KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT for kyconnect, as Kubernetes sets them in the pod',
        ],
      },
    )
  }
  const namespace = await readLocalFile(join(folder, 'namespace'), signal).catch(() => '')
  const cluster = {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    caFile: join(folder, 'ca.crt'),
    caData: undefined,
    insecure: false,
    serverName: undefined,
    proxyUrl: undefined,
    execConfig: undefined,
  }
  const user = { ...anonymous, tokenFile: serviceAccountToken }
  return {
    clusters: new Map([['in-cluster', cluster]]),
    users: new Map([['service-account', user]]),
    contexts: new Map([
      ['in-cluster', { cluster: 'in-cluster', user: 'service-account', namespace: namespace.trim() || undefined }],
    ]),
    currentContext: 'in-cluster',
  }
}
