/** The flags that choose a cluster, as in kubectl. */
export interface ClusterChoice {
  /** A file; default: KUBECONFIG, which may name several, then ~/.kube/config, then the service account of a pod. */
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
  readonly namespace: string | undefined
}

/** A cluster as a kubeconfig describes it. */
export interface Cluster {
  /** The name of the context. */
  readonly context: string
  /** An https URL, perhaps with a path. */
  readonly server: URL
  readonly namespace: string
  readonly connection: ClusterConnection
  /**
   * The credentials for one request. Call it for each request: tokens are renewed.
   * @throws ClusterAccessError
   */
  readonly credentials: () => Promise<Credentials>
}

/** How the API server is reached and recognised. */
export interface ClusterConnection {
  /** PEM: the only CAs that are trusted; undefined: those that this machine trusts. */
  readonly ca: string | undefined
  /** The kubeconfig says that the server's certificate is not to be checked. */
  readonly insecure: boolean
  /** The name that the server's certificate must be for; undefined: the host of the URL. */
  readonly serverName: string | undefined
  /** undefined: the environment decides. */
  readonly proxy: URL | undefined
}

export interface Credentials {
  /** Authorization and impersonation. */
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly clientCertificate: ClientCertificate | undefined
}

/** PEM. */
export interface ClientCertificate {
  readonly chain: string
  readonly key: string
}
