import { AnswerMalformedError, KyconnectError } from '../errors.js'
import { parseJsonObject } from '../json.js'
import type { Redactor } from '../redaction.js'
import { HttpClient } from '../transport/client.js'
import type { ProxySettings } from '../transport/proxy.js'
import type { Retry } from '../transport/retry.js'
import { type Route, withoutBrackets } from '../transport/route.js'
import { apiFailure, apiRefusal } from './api-failure.js'
import type { ClientCertificate, Cluster } from './cluster.js'
import { type ResourceKind, resourcePath } from './resource.js'

export interface ApiDeps {
  readonly redactor: Redactor
  /** Takes the lines of --verbose; undefined without that flag. */
  readonly trace: ((line: string) => void) | undefined
  /** Milliseconds for a complete answer. */
  readonly timeoutMs: number
  /** For a cluster whose kubeconfig names no proxy. */
  readonly proxy: ProxySettings
  /** For a cluster whose kubeconfig names no CA: see {@link Route.trust}. */
  readonly rootFiles: readonly string[]
  readonly systemRootFiles: readonly string[]
  /** Milliseconds on a monotonic clock. */
  readonly monotonic: () => number
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'delete'

/** One request; the path and the wording of an error are built from it. */
export interface ApiRequest {
  readonly verb: Verb
  readonly kind: ResourceKind
  /** Default: the cluster's. */
  readonly namespace?: string
  readonly name?: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: object
}

/** An answer of the API server, whatever its status. */
export interface ApiAnswer {
  readonly status: number
  /** Empty where a refusal is not a JSON object. */
  readonly body: object
}

const methods = { get: 'GET', list: 'GET', watch: 'GET', create: 'POST', delete: 'DELETE' } as const
const retries: Readonly<Record<Verb, Retry>> = {
  get: 'idempotent',
  list: 'idempotent',
  watch: 'never',
  create: 'never',
  delete: 'never',
}
/** One event of a watch, or a refused watch. */
const maxEventChars = 4 * 1024 * 1024
const connections = 2

/** Sends requests to a cluster's API server. Close it after use. Errors contain no headers, because headers hold credentials. */
export class KubernetesApi {
  readonly cluster: Cluster
  readonly #deps: ApiDeps
  #client: { readonly http: HttpClient; readonly certificate: ClientCertificate | undefined } | undefined

  constructor(cluster: Cluster, deps: ApiDeps) {
    this.cluster = cluster
    this.#deps = deps
  }

  /**
   * Sends a request and reads the whole answer, even of a refusal.
   * @throws NetworkError, TimeoutError, ClusterAccessError, ServiceFailedError, AnswerMalformedError; the reason of the signal
   */
  async request(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    const { http, headers, url } = await this.#prepare(request, signal)
    const { verb, body } = request
    const answer = await http
      .send(
        {
          method: methods[verb],
          url,
          headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal,
        },
        retries[verb],
      )
      .catch((error: unknown) => {
        throw apiFailure(error, this.cluster)
      })
    const object = parseJsonObject(answer.body)
    if (answer.status >= 500) throw apiRefusal(answer.status, object ?? {}, request, this.cluster)
    // The API server refuses an unknown path without JSON: the kind is not installed.
    if (object === undefined && answer.status < 400) {
      throw new AnswerMalformedError(
        `the answer of the Kubernetes API at ${this.cluster.server.host} is not a JSON object (${answer.status})`,
        { hints: [`check the server of the cluster in the kubeconfig (context "${this.cluster.context}")`] },
      )
    }
    return { status: answer.status, body: object ?? {} }
  }

  /** Sends a request that must succeed. @throws as request; RequestRefusedError for any 4xx */
  async requestOk(request: ApiRequest, signal: AbortSignal): Promise<object> {
    const { status, body } = await this.request(request, signal)
    if (status >= 400) throw apiRefusal(status, body, request, this.cluster)
    return body
  }

  /**
   * Watches: yields each event as it arrives, until the server ends the watch or the signal is aborted. A broken watch is not an error:
   * the caller watches again.
   * @throws RequestRefusedError, and as request, when the watch is not granted
   */
  async *watch(request: ApiRequest, signal: AbortSignal): AsyncGenerator<object> {
    const { http, headers, url } = await this.#prepare(request, signal)
    const { status, body } = await http
      .stream({ method: 'GET', url, headers, signal }, 'forever')
      .catch((error: unknown) => {
        throw apiFailure(error, this.cluster)
      })
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for await (const chunk of body) {
        rest += decoder.decode(chunk, { stream: true })
        if (rest.length > maxEventChars) break
        if (status !== 200) continue
        const lines = rest.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          const event = parseJsonObject(line)
          if (event === undefined) continue
          this.#deps.redactor.learn(line)
          yield event
        }
      }
    } catch (error) {
      // The network or a proxy broke the watch, or the signal ended it, which the caller knows.
      if (!(error instanceof KyconnectError)) throw error
    }
    if (status !== 200) throw apiRefusal(status, parseJsonObject(rest) ?? {}, request, this.cluster)
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.#client?.http.close()
    this.#client = undefined
  }

  async #prepare(
    { verb, kind, namespace, name, query = {} }: ApiRequest,
    signal: AbortSignal,
  ): Promise<{ http: HttpClient; headers: Readonly<Record<string, string | string[]>>; url: URL }> {
    const { headers, clientCertificate } = await this.cluster.credentials()
    signal.throwIfAborted()
    const { server } = this.cluster
    const url = new URL(server)
    const path = resourcePath(
      kind,
      namespace ?? this.cluster.namespace,
      verb === 'get' || verb === 'delete' ? name : undefined,
    )
    url.pathname = `${server.pathname.replace(/\/$/, '')}${path}`
    url.search = new URLSearchParams(query).toString()
    return { http: await this.#open(clientCertificate), headers: { ...headers, accept: 'application/json' }, url }
  }

  /** A renewed certificate needs new connections. */
  async #open(certificate: ClientCertificate | undefined): Promise<HttpClient> {
    const same =
      this.#client?.certificate?.chain === certificate?.chain && this.#client?.certificate?.key === certificate?.key
    if (this.#client !== undefined && same) return this.#client.http
    await this.close()
    const { redactor, trace, monotonic, sleep } = this.#deps
    const http = new HttpClient(this.#route(certificate), {
      redactor,
      trace,
      // Each request has its own signal, so that cleaning up continues after an interruption.
      signal: new AbortController().signal,
      now: monotonic,
      sleep,
    })
    this.#client = { http, certificate }
    return http
  }

  #route(clientCertificate: ClientCertificate | undefined): Route {
    const { server, connection } = this.cluster
    const { ca, insecure, serverName, proxy } = connection
    const { timeoutMs, rootFiles, systemRootFiles } = this.#deps
    return {
      nodePort: null,
      gatewayHost: null,
      clientCertificate: clientCertificate ?? null,
      certificateHosts: [withoutBrackets(server.hostname)],
      resolve: [],
      trust: { ca: ca ?? null, caOnly: ca !== undefined, rootFiles, systemRootFiles, insecure },
      ...(serverName === undefined ? {} : { serverName }),
      // As for kubectl, NO_PROXY does not count for the proxy of a kubeconfig.
      proxy: proxy === undefined ? this.#deps.proxy : { url: proxy, except: [] },
      timeoutMs,
      connections,
    }
  }
}
