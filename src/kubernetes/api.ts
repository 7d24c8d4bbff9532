import type { IncomingMessage } from 'node:http'
import { AnswerMalformedError, KyconnectError, TimeoutError } from '../errors.js'
import type { Redactor } from '../redaction.js'
import { apiFailure, apiRefusal } from './api-failure.js'
import type { Cluster } from './cluster.js'
import { parseJsonObject } from '../json.js'
import { resourceName, type ResourceKind, resourcePath } from './resource.js'

export interface ApiDeps {
  readonly redactor: Redactor
  /** Takes the lines of --verbose; undefined: nobody listens. */
  readonly trace: ((line: string) => void) | undefined
  /** Milliseconds for a whole answer. */
  readonly timeoutMs: number
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'delete'

/** What is asked, for the path and for the words of an error. */
export interface ApiRequest {
  readonly verb: Verb
  readonly kind: ResourceKind
  readonly name?: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: object
}

/** An answer of the API server: an object, whatever its status. */
export interface ApiAnswer {
  readonly status: number
  readonly body: object
}

const methods = { get: 'GET', list: 'GET', watch: 'GET', create: 'POST', delete: 'DELETE' } as const
/** Bytes of an answer, and of one event of a watch. */
const largest = 4 * 1024 * 1024

/**
 * The little that is asked of a cluster's API server, over HTTPS as the Kubernetes client sets it up (TLS, proxy, credentials).
 * Errors hold no header: there are credentials in them.
 */
export class KubernetesApi {
  readonly cluster: Cluster
  readonly #deps: ApiDeps

  constructor(cluster: Cluster, deps: ApiDeps) {
    this.cluster = cluster
    this.#deps = deps
  }

  /** The same API for another namespace. */
  inNamespace(namespace: string): KubernetesApi {
    return new KubernetesApi({ ...this.cluster, namespace }, this.#deps)
  }

  /**
   * Asks, and reads the answer whole, a refusal too.
   * @throws NetworkError, TimeoutError, ServerCertificateError, ClusterAccessError, ServiceFailedError, AnswerMalformedError
   */
  async request(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    const over = AbortSignal.timeout(this.#deps.timeoutMs)
    try {
      const response = await this.#send(request, AbortSignal.any([signal, over]))
      const text = await readText(response, this.#place)
      this.#deps.redactor.learn(text)
      const status = response.statusCode ?? 0
      const body = parseJsonObject(text)
      if (status >= 500) throw apiRefusal(status, body ?? {}, request, this.cluster)
      // What is no JSON here is the path nobody serves: the kind is not installed.
      if (body === undefined && status < 400)
        throw new AnswerMalformedError(
          `the Kubernetes API at ${this.#place} answered ${status} with what is no JSON object`,
        )
      return { status, body: body ?? {} }
    } catch (error) {
      throw this.#translateError(error, signal, over)
    }
  }

  /** Asks for what has to be there. @throws as ask, and RequestRefusedError for any 4xx */
  async requestOk(request: ApiRequest, signal: AbortSignal): Promise<object> {
    const { status, body } = await this.request(request, signal)
    if (status >= 400) throw apiRefusal(status, body, request, this.cluster)
    return body
  }

  /**
   * Watches: gives each event as it comes, until the server ends the watch or the signal is aborted. That a watch breaks off is
   * no error: the caller looks again.
   * @throws RequestRefusedError and what `ask` throws when the watch is not granted
   */
  async *watch(request: ApiRequest, signal: AbortSignal): AsyncGenerator<object> {
    const over = new AbortController()
    const timer = setTimeout(() => {
      over.abort()
    }, this.#deps.timeoutMs)
    let response: IncomingMessage
    try {
      response = await this.#send(request, AbortSignal.any([signal, over.signal]))
      const status = response.statusCode ?? 0
      if (status !== 200) {
        const body = parseJsonObject(await readText(response, this.#place)) ?? {}
        throw apiRefusal(status, body, request, this.cluster)
      }
    } catch (error) {
      throw this.#translateError(error, signal, over.signal)
    } finally {
      clearTimeout(timer)
    }
    let rest = ''
    response.setEncoding('utf8')
    try {
      for await (const chunk of response) {
        rest += String(chunk)
        if (rest.length > largest) return
        const lines = rest.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          const event = parseJsonObject(line)
          if (event === undefined) continue
          this.#deps.redactor.learn(line)
          yield event
        }
      }
    } catch {
      // Broken off: by the network, a proxy, or the signal, which the caller knows of.
    } finally {
      response.destroy()
    }
  }

  get #place(): string {
    return this.cluster.server.host
  }

  async #send({ verb, kind, name, query = {}, body }: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { server, namespace } = this.cluster
    const path = resourcePath(kind, namespace, verb === 'get' || verb === 'delete' ? name : undefined)
    const search = new URLSearchParams(query).toString()
    const full = `${server.pathname.replace(/\/+$/, '')}${path}${search === '' ? '' : `?${search}`}`
    const { headers, clientCertificate } = await this.cluster.credentials()
    signal.throwIfAborted()
    const { trace } = this.#deps
    trace?.(`> ${methods[verb]} ${server.origin}${full}`)
    const text = body === undefined ? undefined : JSON.stringify(body)
    const { ca, insecure, serverName } = this.cluster.connection
    // Loaded only now: everything else here takes undici.
    const { request: httpsRequest } = await import('node:https')
    return new Promise((resolve, reject) => {
      const request = httpsRequest({
        agent: false,
        rejectUnauthorized: !insecure,
        ...(ca === undefined ? {} : { ca }),
        ...(serverName === undefined ? {} : { servername: serverName }),
        ...(clientCertificate === undefined ? {} : { cert: clientCertificate.chain, key: clientCertificate.key }),
        method: methods[verb],
        host: server.hostname.replace(/^\[|\]$/g, ''),
        port: server.port === '' ? 443 : server.port,
        path: full,
        signal,
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': 'kyconnect',
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      })
      request.once('error', reject)
      request.once('response', (response) => {
        trace?.(`< ${response.statusCode ?? 0} ${resourceName(kind)}`)
        // What breaks off while a body is read is told by the body.
        request.on('error', () => undefined)
        resolve(response)
      })
      request.end(text)
    })
  }

  #translateError(error: unknown, signal: AbortSignal, over: AbortSignal): KyconnectError {
    if (signal.aborted && signal.reason instanceof KyconnectError) return signal.reason
    if (error instanceof KyconnectError) return error
    if (over.aborted) {
      return new TimeoutError(
        `the Kubernetes API at ${this.#place} did not answer within ${this.#deps.timeoutMs / 1000} s`,
        {
          hints: [
            `check that the cluster of the context "${this.cluster.context}" is up, or wait longer with --timeout <seconds>`,
          ],
        },
      )
    }
    return apiFailure(error, this.cluster)
  }
}

async function readText(response: IncomingMessage, place: string): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) {
    text += String(chunk)
    if (text.length > largest)
      throw new AnswerMalformedError(`the answer of the Kubernetes API at ${place} is too large: not read further`)
  }
  return text
}
