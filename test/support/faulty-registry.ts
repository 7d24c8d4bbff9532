import { readFileSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { startTestSandbox } from '../sandbox/wire.js'
import { openRegistry, type OpenRegistry } from './registry.js'

/** A request for the Registry, as the gateway sees it. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly body: string
}

/**
 * What goes wrong with a request: the connection breaks before or after the Registry has worked on it, no answer comes, or
 * something answers in its place.
 */
export type Fault =
  'lost request' | 'lost answer' | 'silence' | { readonly status: number; readonly type: string; readonly body: string }

/** The sandbox's Registry behind a gateway that fails as a test asks. */
export interface FaultyRegistry {
  readonly port: number
  readonly ca: string
  readonly requests: SeenRequest[]
  /** Decides about each request; undefined: nothing goes wrong. It may do something first. */
  fault: (request: SeenRequest, count: number) => Fault | undefined | Promise<Fault | undefined>
  open(timeoutMs?: number, signal?: AbortSignal): OpenRegistry
  /** How many requests of this method were seen. */
  count(method: string): number
  /** Ends all connections, and takes no more. */
  disappear(): void
  close(): Promise<void>
}

export async function startFaultyRegistry(): Promise<FaultyRegistry> {
  const sandbox: Sandbox = await startTestSandbox({ servicesPort: 0 })
  const { forProxy, ready } = sandbox
  if (forProxy === undefined) throw new Error('the sandbox serves no plain HTTP')
  const ca = readFileSync(ready.caFile, 'utf8')
  const opened: OpenRegistry[] = []
  const server = https.createServer(
    { cert: readFileSync(forProxy.serverCertificateFile), key: readFileSync(forProxy.serverKeyFile) },
    (incoming, outgoing) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => {
        void (async () => {
          const body = Buffer.concat(chunks)
          const seen = { method: incoming.method ?? '', path: incoming.url ?? '', body: body.toString('utf8') }
          faulty.requests.push(seen)
          const fault = await faulty.fault(seen, faulty.requests.length)
          if (fault === 'silence') return
          if (fault === 'lost request') {
            incoming.socket.destroy()
            return
          }
          if (typeof fault === 'object') {
            outgoing.writeHead(fault.status, { 'content-type': fault.type }).end(fault.body)
            return
          }
          const reply = await forward(forProxy.servicesUrl, seen, body)
          if (fault === 'lost answer') {
            incoming.socket.destroy()
            return
          }
          outgoing.writeHead(reply.status, reply.type === undefined ? {} : { 'content-type': reply.type })
          outgoing.end(reply.body)
        })()
      })
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const faulty: FaultyRegistry = {
    port,
    ca,
    requests: [],
    fault: () => undefined,
    open: (timeoutMs, signal) => {
      const registry = openRegistry({
        port,
        ca,
        cert: undefined,
        key: undefined,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      })
      opened.push(registry)
      return registry
    },
    count: (method) => faulty.requests.filter((request) => request.method === method).length,
    disappear: () => {
      server.close()
      server.closeAllConnections()
    },
    close: async () => {
      await Promise.all(opened.map((registry) => registry.close()))
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await sandbox.close()
    },
  }
  return faulty
}

function forward(
  servicesUrl: string,
  { method, path }: SeenRequest,
  body: Buffer,
): Promise<{ status: number; type: string | undefined; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const request = requestPlain(`${servicesUrl}${path}`, {
      method,
      headers: { host: 'gateway.kyma.local', ...(body.length > 0 && { 'content-length': body.length }) },
    })
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'],
          body: Buffer.concat(chunks),
        })
      })
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}
