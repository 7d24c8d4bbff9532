/** A kubeconfig with one context. What stands in it needs no quoting: a URL of ours, base64 and base64url. */
export function kubeconfig(access: {
  readonly server: string
  /** PEM. */
  readonly authority: string
  readonly token: string
}): string {
  return `apiVersion: v1
kind: Config
clusters:
- name: kyma-sandbox
  cluster:
    server: ${access.server}
    certificate-authority-data: ${Buffer.from(access.authority).toString('base64')}
users:
- name: kyma-sandbox
  user:
    token: ${access.token}
contexts:
- name: kyma-sandbox
  context:
    cluster: kyma-sandbox
    user: kyma-sandbox
    namespace: default
current-context: kyma-sandbox
`
}
