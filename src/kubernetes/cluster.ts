import type { RequestOptions } from 'node:https'

/** Which cluster is meant: flags of the command line, as kubectl's. */
export interface ClusterChoice {
  /** A file; default: KUBECONFIG (several files), ~/.kube/config, else the service account of a pod. */
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
  readonly namespace: string | undefined
}

/** Where a kubeconfig is looked for. */
export interface KubeconfigLocation {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly userHome: string
}

/** A cluster as a kubeconfig describes it. */
export interface Cluster {
  /** As it is shown: the name of the context. */
  readonly context: string
  readonly server: URL
  readonly namespace: string
  /**
   * TLS, proxy and credentials for one request; asked anew for each, as tokens are renewed.
   * @throws ClusterAccessError
   */
  readonly authenticate: () => Promise<RequestOptions>
}
