import type { CertificateWithKey } from '../pki/issue.js'

/** The two ways to authenticate at the cluster. */
export interface ClusterAccess {
  readonly server: string
  /** PEM. */
  readonly authority: string
  readonly token: string
  readonly clientCertificate: CertificateWithKey
}

/** The contexts of the kubeconfig: the current one, which uses a token, and one that uses a client certificate. */
export const KUBECONFIG_CONTEXTS = { token: 'kyma-sandbox', certificate: 'kyma-sandbox-certificate' } as const

/** A kubeconfig with two contexts. None of its values needs quotes: they are a URL, base64 and base64url. */
export function kubeconfig({ server, authority, token, clientCertificate }: ClusterAccess): string {
  const { token: byToken, certificate: byCertificate } = KUBECONFIG_CONTEXTS
  return `apiVersion: v1
kind: Config
clusters:
- name: kyma-sandbox
  cluster:
    server: ${server}
    certificate-authority-data: ${base64(authority)}
users:
- name: ${byToken}
  user:
    token: ${token}
- name: ${byCertificate}
  user:
    client-certificate-data: ${base64(clientCertificate.certificate)}
    client-key-data: ${base64(clientCertificate.key)}
contexts:
- name: ${byToken}
  context:
    cluster: kyma-sandbox
    user: ${byToken}
    namespace: default
- name: ${byCertificate}
  context:
    cluster: kyma-sandbox
    user: ${byCertificate}
    namespace: default
current-context: ${byToken}
`
}

const base64 = (pem: string): string => Buffer.from(pem).toString('base64')
