import { readFile } from 'node:fs/promises'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { Redactor } from '../../src/redaction.js'
import { HttpClient } from '../../src/transport/client.js'
import { noProxy } from '../../src/transport/proxy.js'
import type { Route } from '../../src/transport/route.js'
import { makeAuthority, makeServerCertificate, temporaryFolder } from './certificates.js'

/** What the server answers next; headers that frame the body are its own business. */
export interface Replayed {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** A TLS server that gives the same answer to every request, and a client for which every name resolves to it. */
export interface Replay {
  readonly port: number
  answer: Replayed
  readonly asked: { method: string; url: string; body: string }[]
  readonly redactor: Redactor
  readonly traced: string[]
  http(gatewayHost?: string): HttpClient
  stop(): Promise<void>
}

export async function startReplay(names: readonly string[]): Promise<Replay> {
  const folder = await temporaryFolder('replay')
  const authority = await makeAuthority(folder.path, 'replay', 'ec')
  const { cert, key } = await makeServerCertificate(folder.path, authority, names)
  const ca = await readFile(authority.certificateFile, 'utf8')
  const asked: Replay['asked'] = []
  const server = https.createServer({ cert, key }, (request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      asked.push({ method: request.method ?? '', url: request.url ?? '', body })
      const headers = Object.entries(replay.answer.headers).filter(
        ([name]) => !/^(content-length|connection|transfer-encoding)$/.test(name),
      )
      response.writeHead(replay.answer.status, Object.fromEntries(headers))
      response.end(replay.answer.body ?? '')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const redactor = new Redactor()
  const traced: string[] = []
  const clients: HttpClient[] = []
  const replay: Replay = {
    port,
    answer: { status: 404, headers: {} },
    asked,
    redactor,
    traced,
    http: (gatewayHost) => {
      const route: Route = {
        nodePort: port,
        gatewayHost: gatewayHost ?? null,
        resolve: names.map((host) => ({ host, port: null, address: '127.0.0.1' })),
        trust: { ca, caOnly: false, rootFiles: [], systemRootFiles: [], insecure: false },
        clientCertificate: null,
        certificateHosts: [],
        proxy: noProxy,
        timeoutMs: 20_000,
        connections: 4,
      }
      const client = new HttpClient(route, {
        redactor,
        trace: (line) => traced.push(line),
        signal: new AbortController().signal,
        now: () => performance.now(),
        sleep: () => Promise.resolve(),
      })
      clients.push(client)
      return client
    },
    stop: async () => {
      await Promise.all(clients.map((client) => client.close()))
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await folder.remove()
    },
  }
  return replay
}
