import { readFileSync } from 'node:fs'
import { Redactor } from '../../src/redaction.js'
import { RegistryClient } from '../../src/registry/client.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { HttpClient } from '../../src/transport/client.js'
import { noProxy } from '../../src/transport/proxy.js'
import { pair } from '../sandbox/identity.js'

/** A client of a sandbox's Registry. */
export interface OpenRegistry {
  readonly client: RegistryClient
  readonly redactor: Redactor
  readonly traced: string[]
  close(): Promise<void>
}

/** Where a Registry is, and with which certificate it is called. */
export interface RegistryPlace {
  readonly port: number
  readonly ca: string
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Pairs the App with the sandbox, and opens its Registry. */
export async function openSandboxRegistry(sandbox: Sandbox, app: string): Promise<OpenRegistry> {
  const { gatewayPort, caFile } = sandbox.ready
  return openRegistry({ port: gatewayPort, ca: readFileSync(caFile, 'utf8'), ...(await pair(sandbox, app)) }, app)
}

export function openRegistry(
  { port, ca, cert, key, timeoutMs = 60_000, signal }: RegistryPlace,
  app = 'demo',
): OpenRegistry {
  const host = 'gateway.kyma.local'
  const redactor = new Redactor()
  const traced: string[] = []
  const client = new HttpClient(
    {
      nodePort: port,
      gatewayHost: host,
      clientCertificate: cert === undefined || key === undefined ? null : { chain: cert, key },
      certificateHosts: [host],
      resolve: [{ host, port: null, address: '127.0.0.1' }],
      trust: { ca, caOnly: false, rootFiles: [], systemRootFiles: [], insecure: false },
      proxy: noProxy,
      timeoutMs,
      connections: 8,
    },
    {
      redactor,
      trace: (line) => traced.push(line),
      signal: signal ?? new AbortController().signal,
      now: () => performance.now(),
      sleep: () => Promise.resolve(),
    },
  )
  const gateway = {
    client,
    url: (_: unknown, path = '') =>
      new URL(`https://${host}:${port}/${app}/v1/metadata/services${path === '' ? '' : `/${path}`}`),
    explain: (error: unknown) => error,
  }
  return { client: new RegistryClient(gateway, redactor), redactor, traced, close: () => client.close() }
}
