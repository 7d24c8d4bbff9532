/**
 * A local Kyma 1.0 in one process: CA, Connector, gateway with mutual TLS, Registry, Events and the Kubernetes API. It is written from
 * docs/contract.md alone and shares no code with the client, so that a misreading of the contract on one side does not hide the same
 * misreading on the other. Everything listens on 127.0.0.1 only.
 *
 * Another proxy can replace the gateway: with `servicesPort` the services behind the gateway are also served as plain HTTP, and
 * `Sandbox.forProxy` names the files that such a proxy needs.
 */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { Owner } from './connector/client-context.js'
import { createExternalApi } from './connector/external-api.js'
import { createInternalApi } from './connector/internal-api.js'
import { CONNECTOR_PATHS, tokenUrl } from './connector/paths.js'
import { openRevocations } from './connector/revocations.js'
import { createTokens, type Tokens } from './connector/tokens.js'
import { createEventList, EVENT_LIST_PATH } from './events/event-list.js'
import { createEvents } from './events/events.js'
import { withSubscriptionList } from './events/subscription-list.js'
import { createBackend } from './gateway/backend.js'
import { createIngress, plainHttpFront } from './gateway/ingress.js'
import { GATEWAY_HEADERS } from './gateway/nginx-pages.js'
import { errorAnswer, type Answer, type Backend } from './http/exchange.js'
import { servePlain, serveTls, type Front, type ListenerOptions } from './http/listener.js'
import { localRequestsOnly } from './http/local-requests.js'
import { openPort, type Port } from './http/port.js'
import { createRequestLog } from './http/request-log.js'
import { API_SERVER_NAMES, CLUSTER_USER } from './kubernetes/authentication.js'
import { openCluster } from './kubernetes/cluster.js'
import type { IssueToken } from './kubernetes/controller.js'
import { kubeconfig, KUBECONFIG_CONTEXTS } from './kubernetes/kubeconfig.js'
import { startKubernetes } from './kubernetes/kubernetes.js'
import { checkOptions, type SandboxOptions } from './options.js'
import {
  authorityFromPem,
  authorityToPem,
  certificatePem,
  createClientAuthority,
  createServerAuthority,
  type Authority,
} from './pki/authority.js'
import { issueClusterCertificate, issueServerCertificate } from './pki/issue.js'
import { openServiceStore } from './registry/service-store.js'
import { openMemoryState, openStateDirectory, type State } from './state.js'

export { SandboxOptionError, type SandboxOptions } from './options.js'
export { StateError } from './state.js'

export interface SandboxReady {
  /** https://connector-service.<domain>:<port> */
  readonly connectorUrl: string
  /**
   * http://127.0.0.1:<port>, the in-cluster API: `POST /v1/applications/tokens` with the header Application creates a token. The sandbox
   * adds `GET /sandbox/events`, the accepted events for assertions, and `DELETE /sandbox/events`.
   */
  readonly internalUrl: string
  readonly gatewayPort: number
  readonly domain: string
  /** PEM of the CA that signed the server certificates of both hosts. */
  readonly caFile: string
  /** A kubeconfig (absolute path) whose current context is this sandbox. */
  readonly kubeconfig: string
  /** The contexts of the kubeconfig by how they authenticate; the first one is the current one. */
  readonly contexts: { readonly token: string; readonly certificate: string }
  /** In central mode: the tenant and the group of the token URLs. */
  readonly central?: Owner
  /** A new token URL per App. */
  readonly tokenUrls: Readonly<Record<string, string>>
  /** The environment variables that point kyconnect and kubectl at this sandbox. */
  readonly env: {
    readonly KYCONNECT_CA_FILE: string
    readonly KYCONNECT_NODE_PORT: string
    readonly KYCONNECT_RESOLVE: string
    readonly KUBECONFIG: string
  }
}

/** What a proxy needs that replaces the gateway. */
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
  /** Closes at once: open connections end. */
  close(): Promise<void>
}

/** A port cannot be opened; the message says which and why. */
export class PortError extends Error {}

/** @throws SandboxOptionError, StateError, PortError */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  checkOptions(options)
  const ownerId = process.geteuid?.()
  const state =
    options.stateDirectory === undefined
      ? openMemoryState(ownerId)
      : openStateDirectory(resolve(options.stateDirectory), ownerId)
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

/** The tenant and the group of the token URLs that a sandbox in central mode prints. */
const DEFAULT_OWNER: Owner = { tenant: 'sandbox-tenant', group: 'sandbox-group' }

async function open(options: SandboxOptions, state: State, opened: Opened[]): Promise<Omit<Sandbox, 'close'>> {
  const { apps, domain, central = false, now = () => new Date() } = options
  const hosts = { connector: `connector-service.${domain}`.toLowerCase(), gateway: `gateway.${domain}`.toLowerCase() }
  const revocations = openRevocations(state)
  const cluster = openCluster(apps, state, now())
  const store = openServiceStore((app) => cluster.hasApp(app), state)
  cluster.onAppDeleted((app) => {
    store.forget(app)
  })
  // An RSA key takes long to generate. Only the first request waits for it.
  const clientAuthority = storedAuthority(state, 'client-ca.pem', () => createClientAuthority(now()))
  clientAuthority.catch(() => undefined)
  const serverAuthority = await storedAuthority(state, 'server-ca.pem', () => createServerAuthority(now()))
  const [server, apiServer, clusterCertificate] = await Promise.all([
    issueServerCertificate(serverAuthority, now(), Object.values(hosts)),
    issueServerCertificate(serverAuthority, now(), API_SERVER_NAMES, ['127.0.0.1']),
    issueClusterCertificate(serverAuthority, now(), CLUSTER_USER),
  ])
  const listen = async (number: number, name: string): Promise<Port> => {
    const port = await openNamedPort(number, name)
    opened.push(port)
    return port
  }
  const listener = (name: string, front: Front): ListenerOptions => ({
    front,
    ...(options.log && { report: createRequestLog(name, options.log, now) }),
    ...(options.limits && { limits: options.limits }),
  })

  const eventList = createEventList()
  const connectorPort = await listen(options.connectorPort, 'connector')
  const connectorUrl = `https://${hosts.connector}:${connectorPort.number}`
  const tokens = createTokens(options.tokenTtlSeconds, now)
  const services = clientAuthority.then((authority) => {
    const parts = {
      addresses: { connectorUrl, gatewayUrl: `https://${hosts.gateway}` },
      central,
      tokens,
      revocations,
      signer: { authority, validitySeconds: options.validitySeconds, now },
    }
    const { subscriptions, listsSubscriptions = false } = options
    const service = createEvents(randomUUID, subscriptions, eventList.add)
    const events = listsSubscriptions ? withSubscriptionList(service, subscriptions ?? []) : service
    const backend = createBackend(parts, { store, newId: randomUUID, now }, events)
    return {
      connectorFront: createConnectorFront(hosts.connector, createExternalApi(parts)),
      ingress: createIngress({
        host: hosts.gateway,
        central,
        hasApp: (name) => cluster.hasApp(name),
        authority: authority.certificate,
        now,
        backend,
      }),
      servicesFront: everything(backend),
    }
  })
  services.catch(() => undefined)
  const connectorFront: Front = async (head, socket) => (await services).connectorFront(head, socket)
  serveTls(connectorPort, listener('connector', connectorFront), server)

  const gatewayPort = await listen(options.gatewayPort, 'gateway')
  const ingress: Front = async (head, socket) => (await services).ingress(head, socket)
  serveTls(
    gatewayPort,
    { ...listener('gateway', ingress), headers: GATEWAY_HEADERS },
    { ...server, asksForCertificate: true },
    localRequestsOnly(plainHttpFront, [hosts.gateway]),
  )

  const internalPort = await listen(options.internalPort, 'internal')
  const internalApi = createInternalApi({ connectorUrl, central, tokens, revocations })
  const internal: Backend = (request) =>
    request.path === EVENT_LIST_PATH ? eventList.api(request) : internalApi(request)
  servePlain(internalPort, listener('internal', localRequestsOnly(everything(internal))))

  const kubernetesPort = await listen(options.kubernetesPort ?? 0, 'kubernetes')
  const kubernetes = startKubernetes(cluster, {
    gatewayPort: gatewayPort.number,
    authority: serverAuthority.certificate,
    issue: issueFor(connectorUrl, central, tokens),
    tokenLifetimeSeconds: options.tokenTtlSeconds,
    now,
    options,
  })
  opened.push({
    close: () => {
      kubernetes.stop()
      return Promise.resolve()
    },
  })
  serveTls(kubernetesPort, listener('kubernetes', kubernetes.front), { ...apiServer, asksForCertificate: true })
  const access = {
    server: `https://127.0.0.1:${kubernetesPort.number}`,
    authority: certificatePem(serverAuthority),
    token: kubernetes.token,
    clientCertificate: clusterCertificate,
  }
  const kubeconfigFile = resolve(state.publish('kubeconfig', kubeconfig(access)))

  const caFile = state.publish('ca.crt', certificatePem(serverAuthority))
  const owner = central ? DEFAULT_OWNER : undefined
  const newTokenUrl = (app: string): string =>
    tokenUrl(connectorUrl, 'application', tokens.issue({ kind: 'application', app, ...(owner && { owner }) }))
  const ready: SandboxReady = {
    connectorUrl,
    internalUrl: `http://127.0.0.1:${internalPort.number}`,
    gatewayPort: gatewayPort.number,
    domain,
    caFile,
    kubeconfig: kubeconfigFile,
    contexts: KUBECONFIG_CONTEXTS,
    ...(owner && { central: owner }),
    tokenUrls: Object.fromEntries(apps.map((app) => [app, newTokenUrl(app)])),
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
  servePlain(servicesPort, listener('services', localRequestsOnly(servicesFront, [hosts.gateway])))
  const forProxy = {
    servicesUrl: `http://127.0.0.1:${servicesPort.number}`,
    serverCertificateFile: state.publish('server.crt', server.certificate),
    serverKeyFile: state.publish('server.key', server.key),
    clientCaFile: state.publish('client-ca.crt', certificatePem(await clientAuthority)),
  }
  return { ready, forProxy }
}

/** The stored authority of this name, or a new one. Throws at once when the stored one is damaged. */
function storedAuthority(state: State, name: string, create: () => Promise<Authority>): Promise<Authority> {
  const stored = state.read(name, authorityFromPem)
  if (stored !== undefined) return Promise.resolve(stored)
  return create().then((created) => {
    state.write(name, authorityToPem(created))
    return created
  })
}

/** Answers the controller of TokenRequests as the internal API would: in central mode a call without tenant and group is refused. */
function issueFor(connectorUrl: string, central: boolean, tokens: Tokens): IssueToken {
  return ({ app, owner }) => {
    if (central && owner === undefined) return undefined
    const token = tokens.issue({ kind: 'application', app, ...(central && owner && { owner }) })
    return { token, url: tokenUrl(connectorUrl, 'application', token) }
  }
}

async function openNamedPort(number: number, name: string): Promise<Port> {
  try {
    return await openPort(number)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const reason = code === 'EADDRINUSE' ? 'already in use' : code === 'EACCES' ? 'permission denied' : String(cause)
    throw new PortError(`the ${name} port 127.0.0.1:${number} cannot be opened: ${reason}`, { cause })
  }
}

/** The sandbox's own limit where the contract names none; larger than any limit of an ingress. */
const MAX_BODY_BYTES = 8 * 1024 * 1024
const tooLarge = errorAnswer(413, 'Request body too large.')
const everything = (backend: Backend): Front => {
  const route = { maxBodyBytes: MAX_BODY_BYTES, tooLarge, backend }
  return () => route
}

const unrouted: Answer = { status: 404, headers: {}, body: '' }

/** The Istio ingress of the connector host: it has the exact paths for pairing and nothing else (docs/contract.md §0, §3). */
function createConnectorFront(host: string, connector: Backend): Front {
  const paths = new Set(Object.values(CONNECTOR_PATHS).flatMap(({ info, certificates }) => [info, certificates]))
  return (head) =>
    head.host === host && paths.has(head.path)
      ? { maxBodyBytes: MAX_BODY_BYTES, tooLarge, backend: connector }
      : unrouted
}
