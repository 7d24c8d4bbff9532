/**
 * A local Kyma 1.0 in one process: CA, Connector, gateway with mutual TLS, Registry, Events and the Kubernetes API, written from the wire
 * contract alone. It shares no code with the client, so that no misreading can hide in both. Everything listens on 127.0.0.1 only.
 *
 * The gateway can be left to another proxy: with `servicesPort`, what lies behind it is served as plain HTTP as well, and
 * `Sandbox.forProxy` names the files that such a proxy needs.
 */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { createBackend } from './gateway/backend.js'
import {
  authorityFromPem,
  authorityToPem,
  certificatePem,
  createClientAuthority,
  createServerAuthority,
  issueServerCertificate,
  type Authority,
} from './pki/certificate-authority.js'
import { CONNECTOR_PATHS, createExternalConnector } from './connector/external-api.js'
import { createInternalConnector, tokenUrl } from './connector/internal-api.js'
import { errorAnswer, type Answer, type Backend } from './http/exchange.js'
import { createGatewayFront, plainHttpFront } from './gateway/ingress.js'
import { kubeconfig } from './kubernetes/kubeconfig.js'
import { openCluster, startKubernetes } from './kubernetes/kubernetes.js'
import { openPort, servePlain, serveTls, type Front, type Port, type Tell } from './http/listener.js'
import { GATEWAY_HEADERS } from './gateway/nginx-pages.js'
import { createRequestLog } from './http/request-log.js'
import { openRevocations } from './connector/revocations.js'
import { checkOptions, type SandboxOptions } from './options.js'
import { openServiceStore } from './registry/service-store.js'
import { openMemoryState, openStateDirectory, type State } from './state.js'
import { createTokens } from './connector/tokens.js'

export { SandboxOptionError, type SandboxOptions } from './options.js'
export { StateError } from './state.js'

export interface SandboxReady {
  /** https://connector-service.<domain>:<port> */
  readonly connectorUrl: string
  /** http://127.0.0.1:<port>, the in-cluster API: `POST /v1/applications/tokens` with header Application makes a token. */
  readonly internalUrl: string
  readonly gatewayPort: number
  readonly domain: string
  /** PEM of the CA that signed the server certificates of both hosts. */
  readonly caFile: string
  /** A kubeconfig (absolute path) whose current context is this sandbox. */
  readonly kubeconfig: string
  /** A fresh token URL for each App. */
  readonly tokenUrls: Readonly<Record<string, string>>
  /** What the client's environment takes to talk to this sandbox. */
  readonly env: {
    readonly KYCONNECT_CA_FILE: string
    readonly KYCONNECT_NODE_PORT: string
    readonly KYCONNECT_RESOLVE: string
    readonly KUBECONFIG: string
  }
}

/** What a proxy in the gateway's place needs. */
export interface ForProxy {
  readonly servicesUrl: string
  readonly serverCertificateFile: string
  readonly serverKeyFile: string
  /** The CA that signs the client certificates. */
  readonly clientCaFile: string
}

export interface Sandbox {
  readonly ready: SandboxReady
  /** Only with `servicesPort`. */
  readonly forProxy?: ForProxy
  /** At once: open connections end. */
  close(): Promise<void>
}

/** A port cannot be opened; the message says which and why. */
export class PortError extends Error {}

export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  checkOptions(options)
  const state = options.stateDirectory === undefined ? openMemoryState() : openStateDirectory(options.stateDirectory)
  const opened: Opened[] = []
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((one) => one.close()))
    state.close()
  }
  try {
    return { ...(await open(options, state, opened)), close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Opened {
  close(): Promise<void>
}

async function open(options: SandboxOptions, state: State, opened: Opened[]): Promise<Omit<Sandbox, 'close'>> {
  const { apps, domain, now = () => new Date() } = options
  const hosts = { connector: `connector-service.${domain}`.toLowerCase(), gateway: `gateway.${domain}`.toLowerCase() }
  const revocations = openRevocations(state)
  const cluster = openCluster(apps, state, now())
  const store = openServiceStore((app) => cluster.hasApp(app), state)
  cluster.onAppGone((app) => {
    store.forget(app)
  })
  // An RSA key takes its time; nothing waits for it before the first request does.
  const clientAuthority = keptAuthority(state, 'client-ca.pem', () => createClientAuthority(now()))
  clientAuthority.catch(() => undefined)
  const serverAuthority = await keptAuthority(state, 'server-ca.pem', () => createServerAuthority(now()))
  const [server, apiServer] = await Promise.all([
    issueServerCertificate(serverAuthority, Object.values(hosts), now()),
    issueServerCertificate(serverAuthority, ['localhost'], now(), ['127.0.0.1']),
  ])
  const tell = (listener: string): Tell => createRequestLog(listener, options.log, now)
  const listen = async (number: number, name: string): Promise<Port> => {
    const port = await openNamedPort(number, name)
    opened.push(port)
    return port
  }

  const connectorPort = await listen(options.connectorPort, 'connector')
  const connectorUrl = `https://${hosts.connector}:${connectorPort.number}`
  const tokens = createTokens(options.tokenTtlSeconds, now)
  const services = clientAuthority.then((authority) => {
    const parts = {
      addresses: { connectorUrl, gatewayUrl: `https://${hosts.gateway}` },
      tokens,
      revocations,
      signer: { authority, validity: options.validitySeconds, now },
    }
    const backend = createBackend(parts, { store, newId: randomUUID, now })
    const gateway = { host: hosts.gateway, apps: () => cluster.apps(), authority: authority.certificate, now, backend }
    return {
      connectorFront: createConnectorFront(hosts.connector, createExternalConnector(parts)),
      gatewayFront: createGatewayFront(gateway),
      servicesFront: everything(backend),
    }
  })
  services.catch(() => undefined)
  const connectorFront: Front = async (head, socket) => (await services).connectorFront(head, socket)
  serveTls(connectorPort, { front: connectorFront, tell: tell('connector') }, server)

  const gatewayPort = await listen(options.gatewayPort, 'gateway')
  const gatewayFront: Front = async (head, socket) => (await services).gatewayFront(head, socket)
  serveTls(
    gatewayPort,
    { front: gatewayFront, tell: tell('gateway'), headers: GATEWAY_HEADERS },
    { ...server, asksForCertificate: true },
    plainHttpFront,
  )

  const internalPort = await listen(options.internalPort, 'internal')
  const internalFront = everything(createInternalConnector(connectorUrl, tokens, revocations))
  servePlain(internalPort, { front: internalFront, tell: tell('internal') })

  const kubernetesPort = await listen(options.kubernetesPort ?? 0, 'kubernetes')
  const kubernetes = startKubernetes(cluster, {
    gatewayPort: gatewayPort.number,
    issue: (app) => {
      const token = tokens.issue(app)
      return { token, url: tokenUrl(connectorUrl, token) }
    },
    tokenLife: options.tokenTtlSeconds,
    now,
    options,
  })
  opened.push({
    close: () => {
      kubernetes.stop()
      return Promise.resolve()
    },
  })
  serveTls(kubernetesPort, { front: kubernetes.front, tell: tell('kubernetes') }, apiServer)
  const access = {
    server: `https://127.0.0.1:${kubernetesPort.number}`,
    authority: certificatePem(serverAuthority),
    token: kubernetes.token,
  }
  const kubeconfigFile = resolve(state.publish('kubeconfig', kubeconfig(access)))

  const caFile = state.publish('ca.crt', certificatePem(serverAuthority))
  const ready: SandboxReady = {
    connectorUrl,
    internalUrl: `http://127.0.0.1:${internalPort.number}`,
    gatewayPort: gatewayPort.number,
    domain,
    caFile,
    kubeconfig: kubeconfigFile,
    tokenUrls: Object.fromEntries(apps.map((app) => [app, tokenUrl(connectorUrl, tokens.issue(app))])),
    env: {
      KYCONNECT_CA_FILE: caFile,
      KYCONNECT_NODE_PORT: String(gatewayPort.number),
      KYCONNECT_RESOLVE: `*.${domain}:*:127.0.0.1`,
      KUBECONFIG: kubeconfigFile,
    },
  }
  if (options.servicesPort === undefined) return { ready }

  const { servicesFront } = await services
  const servicesPort = await listen(options.servicesPort, 'services')
  servePlain(servicesPort, { front: servicesFront, tell: tell('services') })
  const forProxy = {
    servicesUrl: `http://127.0.0.1:${servicesPort.number}`,
    serverCertificateFile: state.publish('server.crt', server.certificate),
    serverKeyFile: state.publish('server.key', server.key),
    clientCaFile: state.publish('client-ca.crt', certificatePem(await clientAuthority)),
  }
  return { ready, forProxy }
}

/** The authority kept under this name, or a new one. Throws at once when what is kept is damaged. */
function keptAuthority(state: State, name: string, create: () => Promise<Authority>): Promise<Authority> {
  const kept = state.read(name, authorityFromPem)
  if (kept !== undefined) return Promise.resolve(kept)
  return create().then((created) => {
    state.write(name, authorityToPem(created))
    return created
  })
}

async function openNamedPort(number: number, name: string): Promise<Port> {
  try {
    return await openPort(number)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const reason = code === 'EADDRINUSE' ? 'it is in use' : code === 'EACCES' ? 'it takes more rights' : String(cause)
    throw new PortError(`Cannot listen on 127.0.0.1:${number} for the ${name}: ${reason}`, { cause })
  }
}

/** The sandbox's own limit in bytes where the contract knows none: more than any ingress lets through. */
const BODY_LIMIT = 8 * 1024 * 1024
const tooLarge = errorAnswer(413, 'Request body too large.')
const everything = (backend: Backend): Front => {
  const route = { bodyLimit: BODY_LIMIT, tooLarge, backend }
  return () => route
}

const unrouted: Answer = { status: 404, headers: {}, body: '' }

/** The Istio ingress of the connector host: two exact paths, for Apps and for runtimes, and nothing else (contract §0, §3). */
function createConnectorFront(host: string, connector: Backend): Front {
  const shown = [CONNECTOR_PATHS.info, CONNECTOR_PATHS.certificates]
  const paths = new Set(shown.flatMap((path) => [path, path.replace('applications', 'runtimes')]))
  return (head) =>
    head.host === host && paths.has(head.path) ? { bodyLimit: BODY_LIMIT, tooLarge, backend: connector } : unrouted
}
