import { UsageError } from '../errors.js'
import { execApiVersions } from './exec-credential.js'
import type { ClusterEntry, ExecConfig, UserEntry } from './kubeconfig-file.js'

/**
 * The rules of kubectl for the cluster and the user of a context (client-go, tools/clientcmd/validation.go, and what its transport adds).
 * Other entries of the kubeconfig may break them.
 */

/** @throws UsageError */
export function checkCluster(name: string, cluster: ClusterEntry): void {
  const invalid = (problem: string): UsageError => invalidEntry('cluster', name, problem)
  if (cluster.caFile !== undefined && cluster.caData !== undefined)
    throw invalid('certificate-authority and certificate-authority-data cannot be combined')
  if (cluster.insecure && (cluster.caFile !== undefined || cluster.caData !== undefined))
    throw invalid('a CA and insecure-skip-tls-verify cannot be combined')
  if (cluster.caData !== undefined && !isBase64(cluster.caData))
    throw invalid('its certificate-authority-data is not base64')
}

/** @throws UsageError */
export function checkUser(name: string, user: UserEntry): void {
  const invalid = (problem: string): UsageError => invalidEntry('user', name, problem)
  const hasPassword = user.username !== undefined || user.password !== undefined
  if (user.token !== undefined && hasPassword) throw invalid('a token and a password cannot be combined')
  const hasCertificate = user.certificateFile !== undefined || user.certificateData !== undefined
  if (user.certificateFile !== undefined && user.certificateData !== undefined)
    throw invalid('client-certificate and client-certificate-data cannot be combined')
  if (hasCertificate && user.keyFile !== undefined && user.keyData !== undefined)
    throw invalid('client-key and client-key-data cannot be combined')
  if (hasCertificate && user.keyFile === undefined && user.keyData === undefined)
    throw invalid('its client certificate has no client-key or client-key-data')
  for (const [member, data] of [
    ['client-certificate-data', user.certificateData],
    ['client-key-data', user.keyData],
  ] as const) {
    if (data !== undefined && !isBase64(data)) throw invalid(`its ${member} is not base64`)
  }
  const { uid, groups, extra } = user.impersonate
  if (user.impersonate.user === undefined && (uid !== undefined || groups.length > 0 || Object.keys(extra).length > 0))
    throw invalid('as-uid, as-groups and as-user-extra need "as"')
  if (user.authProvider !== undefined) {
    if (user.exec !== undefined) throw invalid('auth-provider and exec cannot be combined')
    if (user.authProvider.name !== 'oidc') {
      throw invalidEntry(
        'user',
        name,
        `its auth-provider ${JSON.stringify(user.authProvider.name ?? '')} is not supported, as in kubectl since 1.26`,
        'use an exec plugin instead, such as gke-gcloud-auth-plugin or kubelogin',
      )
    }
  }
  if (user.exec !== undefined) checkExec(user.exec, invalid)
}

function checkExec(exec: ExecConfig, invalid: (problem: string) => UsageError): void {
  const { apiVersion, command, env, interactiveMode } = exec
  if (command === undefined) throw invalid('its exec plugin has no command')
  if (apiVersion === undefined) throw invalid('its exec plugin has no apiVersion')
  if (!execApiVersions.includes(apiVersion))
    throw invalid(`the apiVersion of its exec plugin is not one of ${execApiVersions.join(', ')}`)
  if (env.some((variable) => variable.name === '')) throw invalid('its exec plugin has a variable without a name')
  if (interactiveMode === undefined && apiVersion.endsWith('/v1')) {
    throw invalid('its exec plugin has no interactiveMode, which client.authentication.k8s.io/v1 requires')
  }
  if (interactiveMode !== undefined && !['Never', 'IfAvailable', 'Always'].includes(interactiveMode))
    throw invalid('the interactiveMode of its exec plugin is not Never, IfAvailable or Always')
}

/** An error about one entry; nothing that may be a secret is quoted. */
export function invalidEntry(
  kind: 'cluster' | 'user' | 'context',
  name: string,
  problem: string,
  hint?: string,
): UsageError {
  return new UsageError(`the ${kind} ${JSON.stringify(name)} of the kubeconfig cannot be used: ${problem}`, {
    details: { [kind]: name },
    hints: [hint ?? 'correct the kubeconfig: kubectl config view shows it without secrets'],
  })
}

/** As Go decodes it: padded, line breaks ignored. */
function isBase64(text: string): boolean {
  const plain = text.replace(/[\r\n]/g, '')
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain)
}
