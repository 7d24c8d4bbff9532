import { ClusterAccessError } from '../errors.js'
import { member, parseJsonObject, text } from '../json.js'
import type { ClientCertificate } from './cluster.js'
import type { ExecConfig } from './kubeconfig-file.js'

/** What a plugin gives: a token, a client certificate, or both. */
export interface ExecCredential {
  readonly token: string | undefined
  readonly clientCertificate: ClientCertificate | undefined
  /** undefined: valid until the API server refuses it. */
  readonly expiresAt: Date | undefined
}

/** A cluster as a plugin may see it, by the names of the API. */
export type ExecCluster = Readonly<Record<string, unknown>>

/** The versions of the API that some release of kubectl speaks: v1alpha1 until 1.23, v1 from 1.22 on. */
export const execApiVersions: readonly string[] = ['v1', 'v1beta1', 'v1alpha1'].map(
  (version) => `client.authentication.k8s.io/${version}`,
)

/** What KUBERNETES_EXEC_INFO holds. */
export function execInfo(exec: ExecConfig, cluster: ExecCluster, isInteractive: boolean): object {
  return {
    kind: 'ExecCredential',
    apiVersion: exec.apiVersion,
    spec: { ...(exec.provideClusterInfo ? { cluster } : {}), interactive: isInteractive },
  }
}

/**
 * Parses the output of a plugin. No error repeats it, apart from a wrong apiVersion.
 * @param title the plugin, as messages name it
 * @throws ClusterAccessError
 */
export function parseExecCredential(output: string, exec: ExecConfig, title: string): ExecCredential {
  const failure = (problem: string): ClusterAccessError =>
    new ClusterAccessError(`${title} ${problem}`, {
      reason: 'PLUGIN_OUTPUT',
      details: { command: exec.shownCommand },
      hints: ['check the plugin: it has to print an ExecCredential, as kubectl expects it'],
    })
  const credential = parseJsonObject(output)
  if (credential === undefined) throw failure('did not print a JSON object')
  if (text(credential, 'kind') !== 'ExecCredential') throw failure('did not print an ExecCredential')
  if (text(credential, 'apiVersion') !== exec.apiVersion) {
    const printed = text(credential, 'apiVersion')?.slice(0, 80) ?? 'none'
    throw failure(
      `printed another apiVersion than the kubeconfig names: ${printed} instead of ${exec.apiVersion ?? ''}`,
    )
  }
  const status = member(credential, 'status')
  const token = text(status, 'token')
  const chain = text(status, 'clientCertificateData')
  const key = text(status, 'clientKeyData')
  if ((chain === undefined) !== (key === undefined))
    throw failure('printed a client certificate without its key, or a key without its certificate')
  if (token === undefined && chain === undefined) throw failure('printed neither a token nor a client certificate')
  const expiry = text(status, 'expirationTimestamp')
  const expiresAt = expiry === undefined ? undefined : new Date(expiry)
  if (expiresAt !== undefined && Number.isNaN(expiresAt.getTime()))
    throw failure('printed an expirationTimestamp that is not a date')
  return {
    token,
    clientCertificate: chain === undefined || key === undefined ? undefined : { chain, key },
    expiresAt,
  }
}
