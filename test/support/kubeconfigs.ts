import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { KubeconfigDeps } from '../../src/kubernetes/kubeconfig.js'
import { Redactor } from '../../src/redaction.js'

export interface KubeconfigEntry {
  readonly name: string
  readonly server?: string
  readonly namespace?: string
  readonly user?: object
  readonly cluster?: object
}

/** A kubeconfig with a cluster, a user and a context for each entry. */
export function kubeconfigOf(entries: readonly KubeconfigEntry[], current?: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: entries.map(({ name, server = `https://${name}.example:6443`, cluster = {} }) => ({
      name,
      cluster: { server, ...cluster },
    })),
    users: entries.map(({ name, user = { token: 'c2VjcmV0LW9mLWEtdGVzdA' } }) => ({ name, user })),
    contexts: entries.map(({ name, namespace }) => ({
      name,
      context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) },
    })),
    ...(current === undefined ? {} : { 'current-context': current }),
  })
}

/** Writes a file that its owner alone can read, and its folder. @returns the path */
export async function writeOwnFile(path: string, content: string, mode = 0o600): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content, { mode })
  return path
}

/** What opening a cluster needs, with nothing of this machine but PATH. */
export function kubeconfigDeps(userHome: string, others: Partial<KubeconfigDeps> = {}): KubeconfigDeps {
  return {
    environment: { PATH: process.env['PATH'] },
    platform: process.platform,
    userHome,
    now: () => new Date(),
    isInteractive: false,
    pluginTimeoutMs: 60_000,
    signal: new AbortController().signal,
    emit: () => undefined,
    redactor: new Redactor(),
    ...others,
  }
}
