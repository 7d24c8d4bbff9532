import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { makeAuthority, makeServerCertificate, temporaryFolder } from './certificates.js'

const group = 'applicationconnector.kyma-project.io'
const bearer = 'dG9rZW4tb2YtdGhlLWZha2UtY2x1c3Rlcg'

interface TokenRequest {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    resourceVersion: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly context?: object
  status?: object
}

/** The faults that a test asks for; the rest works. */
export interface ClusterFaults {
  /** Gives the answer to send instead; undefined: the usual one. */
  answer?: (
    method: string,
    path: string,
    query: URLSearchParams,
  ) => { status: number; body: object | string } | undefined
  /** What the controller writes, the first time and each time after; default: OK, at once. */
  controller?: (request: TokenRequest, attempt: number) => object | undefined
  /** Milliseconds between two tries of the controller. */
  controllerEvery?: number
  /** A TokenRequest is created, and this is answered instead of it; `silence`: nothing, `reset`: the connection is cut. */
  creation?:
    | 'silence'
    | 'reset'
    | ((response: ServerResponse) => void)
    | { readonly status: number; readonly body: (created: object) => object | string }
  /** The TokenRequest appears this many milliseconds after the request for it. */
  creationDelayMs?: number
  /** Gives true for a request that the test answers itself, or leaves without an answer. */
  intercept?: (line: string, response: ServerResponse) => boolean
  /** The CRD has no context: the API server drops it. */
  prunesContext?: boolean
  /** The number of watches that are cut at once. */
  dropWatches?: number
  /** The number of watches that are answered with 410 Gone, as an event. */
  expireWatches?: number
}

/** A cluster's API server with a controller of TokenRequests, and with the faults that a test asks for. */
export interface FakeCluster {
  readonly kubeconfig: string
  readonly port: number
  /** One line per request: method and path with its query. */
  readonly requests: string[]
  /** The bodies of the DELETE requests. */
  readonly deletions: string[]
  /** By name. */
  readonly tokenRequests: Map<string, TokenRequest>
  readonly applications: Set<string>
  services: object[]
  /** What the controller hands out. */
  tokenUrl: string
  faults: ClusterFaults
  /** Deletes a TokenRequest, as another program would. */
  remove(name: string): void
  stop(): Promise<void>
}

export async function startFakeCluster(): Promise<FakeCluster> {
  const folder = await temporaryFolder('cluster')
  const authority = await makeAuthority(folder.path, 'cluster-ca', 'ec')
  const { cert, key } = await makeServerCertificate(folder.path, authority, ['localhost'])
  const ca = await readFile(authority.certificateFile)
  const sockets = new Set<Socket>()
  const watches = new Set<{ response: ServerResponse; name: string | null }>()
  let version = 100

  const tell = (type: string, object: TokenRequest): void => {
    for (const { response, name } of watches) {
      if (name === null || name === `metadata.name=${object.metadata.name}`)
        response.write(`${JSON.stringify({ type, object })}\n`)
    }
  }
  const control = (request: TokenRequest, attempt = 1): void => {
    const { controller = () => okStatus(fake.tokenUrl), controllerEvery = 50 } = fake.faults
    const status = controller(request, attempt)
    if (fake.tokenRequests.get(request.metadata.name) !== request) return
    if (status !== undefined) {
      request.status = status
      request.metadata.resourceVersion = String(++version)
      tell('MODIFIED', request)
    }
    if (status === undefined || Reflect.get(status, 'state') !== 'OK') {
      setTimeout(() => {
        control(request, attempt + 1)
      }, controllerEvery).unref()
    }
  }

  const server = https.createServer({ cert, key }, (request, response) => {
    void serve(request, response)
  })
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://localhost')
    const method = request.method ?? ''
    fake.requests.push(`${method} ${pathname}${searchParams.size === 0 ? '' : `?${searchParams.toString()}`}`)
    const reply = (status: number, body: object | string): void => {
      response.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    }
    if (fake.faults.intercept?.(`${method} ${pathname}${searchParams.size === 0 ? '' : '?'}`, response) === true) return
    const other = fake.faults.answer?.(method, pathname, searchParams)
    if (other !== undefined) {
      reply(other.status, other.body)
      return
    }
    if (request.headers.authorization !== `Bearer ${bearer}`) {
      reply(401, status(401, 'Unauthorized', 'Unauthorized'))
      return
    }
    const [, namespace = '', name] =
      new RegExp(`^/apis/${group}/v1alpha1/namespaces/([^/]+)/tokenrequests(?:/([^/]+))?$`).exec(pathname) ?? []
    if (namespace !== '') {
      if (namespace !== 'default') reply(404, status(404, 'NotFound', `namespaces "${namespace}" not found`, namespace))
      else if (method === 'POST') {
        const wish = JSON.parse(text) as TokenRequest
        const { creationDelayMs = 0 } = fake.faults
        if (creationDelayMs > 0) setTimeout(create, creationDelayMs, wish, reply, response)
        else create(wish, reply, response)
      } else if (name !== undefined) one(method, name, text, reply)
      else watch(searchParams, response)
      return
    }
    const app = new RegExp(`^/apis/${group}/v1alpha1/applications(?:/([^/]+))?$`).exec(pathname)
    if (app !== null) {
      if (method === 'POST') {
        const made = JSON.parse(text) as TokenRequest
        fake.applications.add(made.metadata.name)
        reply(201, made)
      } else if (fake.applications.has(app[1] ?? '')) reply(200, { metadata: { name: app[1] } })
      else reply(404, status(404, 'NotFound', `applications.${group} "${app[1] ?? ''}" not found`, app[1]))
      return
    }
    const service = fake.services.find((candidate) =>
      pathname.endsWith(`/services/${String(Reflect.get(candidate, 'name'))}`),
    )
    if (service !== undefined) reply(200, service)
    else if (pathname.includes('/services/'))
      reply(404, status(404, 'NotFound', `services "${pathname.split('/').at(-1) ?? ''}" not found`, 'x'))
    else reply(404, '404 page not found\n')
  }
  const create = (
    { context, ...wish }: TokenRequest,
    reply: (status: number, body: object | string) => void,
    response: ServerResponse,
  ): void => {
    const { name } = wish.metadata
    const { creation, prunesContext = false } = fake.faults
    if (fake.tokenRequests.has(name)) {
      reply(409, status(409, 'AlreadyExists', `tokenrequests.${group} "${name}" already exists`, name))
      return
    }
    const made: TokenRequest = {
      ...wish,
      ...(context === undefined || prunesContext ? {} : { context }),
      metadata: { ...wish.metadata, name, namespace: 'default', uid: randomUUID(), resourceVersion: String(++version) },
    }
    fake.tokenRequests.set(name, made)
    if (creation === undefined) reply(201, made)
    else if (creation === 'reset') response.destroy()
    else if (typeof creation === 'function') creation(response)
    else if (creation !== 'silence') reply(creation.status, creation.body(made))
    setImmediate(() => {
      control(made)
    })
  }
  const one = (method: string, name: string, text: string, reply: (status: number, body: object) => void): void => {
    const found = fake.tokenRequests.get(name)
    if (found === undefined) reply(404, status(404, 'NotFound', `tokenrequests.${group} "${name}" not found`, name))
    else if (method !== 'DELETE') reply(200, found)
    else {
      fake.deletions.push(text)
      const { preconditions } = JSON.parse(text) as { preconditions?: { uid?: string } }
      if (preconditions?.uid !== undefined && preconditions.uid !== found.metadata.uid) {
        reply(409, status(409, 'Conflict', `Operation cannot be fulfilled on tokenrequests.${group} "${name}"`, name))
        return
      }
      fake.remove(name)
      reply(200, status(200, '', ''))
    }
  }
  const watch = (query: URLSearchParams, response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    const { dropWatches = 0, expireWatches = 0 } = fake.faults
    if (dropWatches > 0) {
      fake.faults.dropWatches = dropWatches - 1
      setTimeout(() => response.destroy(), 20)
      return
    }
    if (expireWatches > 0) {
      fake.faults.expireWatches = expireWatches - 1
      response.end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired', 'too old resource version') })}\n`)
      return
    }
    const name = query.get('fieldSelector')
    const since = Number(query.get('resourceVersion'))
    for (const object of fake.tokenRequests.values()) {
      if (Number(object.metadata.resourceVersion) > since)
        response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`)
    }
    response.write(
      `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(version) } } })}\n`,
    )
    const entry = { response, name }
    watches.add(entry)
    response.once('close', () => watches.delete(entry))
  }

  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const kubeconfig = join(folder.path, 'kubeconfig')
  await writeFile(kubeconfig, kubeconfigText(`https://localhost:${port}`, ca, bearer), { mode: 0o600 })
  const fake: FakeCluster = {
    kubeconfig,
    deletions: [],
    port,
    requests: [],
    tokenRequests: new Map(),
    applications: new Set(['demo']),
    services: [],
    tokenUrl: '',
    faults: {},
    remove: (name) => {
      const found = fake.tokenRequests.get(name)
      fake.tokenRequests.delete(name)
      if (found !== undefined) tell('DELETED', found)
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await folder.remove()
    },
  }
  return fake
}

export function okStatus(url: string, expireAfter = new Date(Date.now() + 300_000)): object {
  return {
    application: 'demo',
    state: 'OK',
    token: url.split('token=')[1] ?? '',
    url,
    expireAfter: expireAfter.toISOString(),
  }
}

/** A kubeconfig with one context, `fake`. */
export function kubeconfigText(server: string, ca: Buffer, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'fake', cluster: { server, 'certificate-authority-data': ca.toString('base64') } }],
    users: [{ name: 'fake', user: { token } }],
    contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
    'current-context': 'fake',
  })
}

/** A Status object, as the API server's. */
export function status(code: number, reason: string, message: string, name?: string): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    status: code < 400 ? 'Success' : 'Failure',
    message,
    reason,
    details: name === undefined ? {} : { name, group },
    code,
  }
}
