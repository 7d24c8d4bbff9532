import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as https from 'node:https'
import { readFile } from 'node:fs/promises'
import type { AddressInfo, Socket } from 'node:net'
import {
  type Authority,
  makeAuthority,
  makeServerCertificate,
  type ServerCertificate,
  signCsr,
  temporaryFolder,
} from './certificates.js'

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => unknown

/** What a test makes go wrong; what it does not name goes right. */
export interface Faults {
  info?: Handler
  csr?: Handler
  management?: Handler
  renewal?: Handler
  revocation?: Handler
  /** The App's own endpoints. */
  call?: Handler
}

/** A Connector and a gateway that do what a test asks for, including what no real one does. */
export interface FakeKyma {
  readonly folder: string
  readonly connectorPort: number
  readonly gatewayPort: number
  readonly serverAuthority: Authority
  readonly clientAuthority: Authority
  readonly serverCertificate: ServerCertificate
  readonly env: Record<string, string>
  readonly tokenUrl: string
  /** One line per request: method and path. */
  readonly requests: string[]
  faults: Faults
  /** The usual answers, for a test to change. */
  goodInfo(): Record<string, unknown>
  goodManagement(): Record<string, unknown>
  /** @param more arguments of `openssl x509` */
  sign(csrBody: string, authority?: Authority, more?: readonly string[]): Promise<Record<string, string>>
  stop(): Promise<void>
}

export const domain = 'kyma.local'
const subject = 'O=Organization,OU=OrgUnit,L=Waldorf,ST=Waldorf,C=DE,CN=demo'
const gatewayEndpoints: readonly [string, keyof Faults][] = [
  ['management/info', 'management'],
  ['/renewals', 'renewal'],
  ['/revocations', 'revocation'],
  ['/demo/v1/metadata/services', 'call'],
  ['/demo/v1/events', 'call'],
  ['/demo/v1/events/subscribed', 'call'],
]
const certificatesPath = '/v1/applications/certificates'

export async function startFakeKyma(): Promise<FakeKyma> {
  const folder = await temporaryFolder('fake')
  const [serverAuthority, clientAuthority] = await Promise.all([
    makeAuthority(folder.path, 'server-ca', 'ec'),
    makeAuthority(folder.path, 'client-ca', 'rsa'),
  ])
  const serverCertificate = await makeServerCertificate(folder.path, serverAuthority, [
    `connector-service.${domain}`,
    `gateway.${domain}`,
  ])
  const sockets = new Set<Socket>()
  const requests: string[] = []
  const tokens = { first: randomBytes(64).toString('base64url'), second: randomBytes(64).toString('base64url') }

  const good: Required<Faults> = {
    info: (_, response) => {
      json(response, 200, fake.goodInfo())
    },
    csr: async (_, response, body) => {
      json(response, 201, await fake.sign(body))
    },
    management: (_, response) => {
      json(response, 200, fake.goodManagement())
    },
    renewal: async (_, response, body) => {
      json(response, 201, await fake.sign(body))
    },
    revocation: (_, response) => {
      response.writeHead(201, { 'content-type': 'application/json;charset=UTF-8' }).end()
    },
    call: (_, response) => {
      json(response, 200, [])
    },
  }
  const serve =
    (choose: (path: string) => keyof Faults | undefined) => (request: IncomingMessage, response: ServerResponse) => {
      const path = (request.url ?? '').split('?')[0] ?? ''
      requests.push(`${request.method ?? ''} ${path}`)
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const name = choose(path)
        if (name === undefined) {
          json(response, 404, { code: 404, error: 'Requested resource could not be found.' })
          return
        }
        const handler = fake.faults[name] ?? good[name]
        void handler(request, response, Buffer.concat(chunks).toString('utf8'))
      })
    }
  const tls = { cert: serverCertificate.cert, key: serverCertificate.key }
  const connector = https.createServer(
    tls,
    serve((path) => (path === certificatesPath ? 'csr' : path.endsWith('signingRequests/info') ? 'info' : undefined)),
  )
  const gateway = https.createServer(
    {
      ...tls,
      requestCert: true,
      rejectUnauthorized: false,
      ca: await readFile(clientAuthority.certificateFile, 'utf8'),
    },
    serve((path) => gatewayEndpoints.find(([end]) => path.endsWith(end))?.[1]),
  )
  for (const server of [connector, gateway]) {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    server.on('tlsClientError', () => undefined)
  }
  const [connectorPort, gatewayPort] = await Promise.all([listen(connector), listen(gateway)])
  const connectorUrl = `https://connector-service.${domain}:${connectorPort}`

  const fake: FakeKyma = {
    folder: folder.path,
    connectorPort,
    gatewayPort,
    serverAuthority,
    clientAuthority,
    serverCertificate,
    env: {
      KYCONNECT_CA_FILE: serverAuthority.certificateFile,
      KYCONNECT_NODE_PORT: String(gatewayPort),
      KYCONNECT_RESOLVE: `*.${domain}:*:127.0.0.1`,
    },
    tokenUrl: `${connectorUrl}/v1/applications/signingRequests/info?token=${tokens.first}==`,
    requests,
    faults: {},
    goodInfo: () => ({
      csrUrl: `${connectorUrl}${certificatesPath}?token=${tokens.second}==`,
      api: {
        eventsUrl: `https://gateway.${domain}/demo/v1/events`,
        metadataUrl: `https://gateway.${domain}/demo/v1/metadata/services`,
        infoUrl: `https://gateway.${domain}/v1/applications/management/info`,
        certificatesUrl: `${connectorUrl}${certificatesPath}`,
      },
      certificate: { subject, extensions: '', 'key-algorithm': 'rsa2048' },
    }),
    goodManagement: () => ({
      clientIdentity: { application: 'demo' },
      urls: {
        eventsUrl: `https://gateway.${domain}/demo/v1/events`,
        metadataUrl: `https://gateway.${domain}/demo/v1/metadata/services`,
        renewCertUrl: `https://gateway.${domain}${certificatesPath}/renewals`,
        revokeCertUrl: `https://gateway.${domain}${certificatesPath}/revocations`,
      },
      certificate: { subject, extensions: '', 'key-algorithm': 'rsa2048' },
    }),
    sign: async (csrBody, authority = clientAuthority, more = []) => {
      const { csr } = JSON.parse(csrBody) as { csr: string }
      const leaf = await signCsr(folder.path, authority, Buffer.from(csr, 'base64').toString('utf8'), more)
      const ca = await readFile(authority.certificateFile, 'utf8')
      return { crt: base64(leaf + ca), clientCrt: base64(leaf), caCrt: base64(ca) }
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await Promise.all([connector, gateway].map((server) => new Promise((resolve) => server.close(resolve))))
      await folder.remove()
    },
  }
  return fake
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json;charset=UTF-8' })
  response.end(`${JSON.stringify(body)}\n`)
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function listen(server: https.Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port)
    })
  })
}
