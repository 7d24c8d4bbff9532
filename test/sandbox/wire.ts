import { request as requestPlain, type IncomingHttpHeaders, type RequestOptions } from 'node:http'
import { request as requestTls } from 'node:https'
import { readFileSync } from 'node:fs'
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.js'

/** A sandbox for tests: on free ports, with its state in memory. */
export function startTestSandbox(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
  return startSandbox({
    apps: ['demo', 'shop'],
    domain: 'kyma.local',
    connectorPort: 0,
    gatewayPort: 0,
    internalPort: 0,
    tokenTtlSeconds: 300,
    validitySeconds: 92 * 24 * 60 * 60,
    ...options,
  })
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Call {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** PEM. */
  readonly cert?: string
  readonly key?: string
  readonly ca?: string
  readonly tls?: 'TLSv1.2' | 'TLSv1.3'
  /** The port to connect to. SNI and Host are still those of the URL. */
  readonly port?: number
}

/** Sends a request over HTTP/1.1 to 127.0.0.1, whatever host its URL names. The path is sent unchanged. */
export function send(url: string, call: Call = {}): Promise<Reply> {
  const [, scheme = '', host = '', urlPort = '', path = '/'] = /^(https?):\/\/([^/:]+)(?::(\d+))?(.*)$/.exec(url) ?? []
  const port = call.port ?? Number(urlPort)
  const options: RequestOptions = {
    host: '127.0.0.1',
    port,
    path,
    method: call.method ?? 'GET',
    agent: false,
    timeout: 60_000,
    headers: { host: urlPort === '' ? host : `${host}:${urlPort}`, ...lengthOf(call), ...call.headers },
  }
  return new Promise((resolve, reject) => {
    const request =
      scheme === 'http'
        ? requestPlain(options)
        : requestTls({
            ...options,
            servername: host,
            ca: call.ca,
            cert: call.cert,
            key: call.key,
            ...(call.tls && { minVersion: call.tls, maxVersion: call.tls }),
          })
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const { statusCode = 0, headers } = response
        resolve({ status: statusCode, headers, body: Buffer.concat(chunks).toString('utf8') })
      })
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error(`no answer from ${url}`)))
    request.on('error', reject)
    request.end(call.body)
  })
}

/** Node sends no length with the body of a DELETE by itself. */
function lengthOf({ body, headers }: Call): { 'content-length'?: string } {
  const chunked = Object.keys(headers ?? {}).some((name) => name.toLowerCase() === 'transfer-encoding')
  return body === undefined || chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) }
}

/** Functions that send requests to the hosts of a sandbox. */
export function wireTo(sandbox: Sandbox): {
  readonly connector: (path: string, call?: Call) => Promise<Reply>
  readonly gateway: (path: string, call?: Call) => Promise<Reply>
  readonly internal: (path: string, call?: Call) => Promise<Reply>
  readonly newToken: (app: string) => Promise<string>
} {
  const { ready } = sandbox
  const ca = readFileSync(ready.caFile, 'utf8')
  const internal = (path: string, call?: Call): Promise<Reply> => send(ready.internalUrl + path, call)
  return {
    connector: (path, call) => send(ready.connectorUrl + path, { ca, ...call }),
    gateway: (path, call) => send(`https://gateway.${ready.domain}:${ready.gatewayPort}${path}`, { ca, ...call }),
    internal,
    newToken: async (app) => {
      const { body } = await internal('/v1/applications/tokens', { method: 'POST', headers: { Application: app } })
      return stringIn(body, 'token')
    },
  }
}

/** The string that a JSON object holds under this name; throws when it holds none. */
export function stringIn(json: string, name: string): string {
  const value: unknown = JSON.parse(json)
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  if (typeof found !== 'string') throw new Error(`no string "${name}" in ${json}`)
  return found
}
