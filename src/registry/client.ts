import { AnswerMalformedError, KyconnectError, NetworkError, TimeoutError } from '../errors.js'
import type { Endpoint } from '../gateway/endpoint-url.js'
import { parseJsonObject, text } from '../json.js'
import { oneLine, type Redactor } from '../redaction.js'
import type { Answer } from '../transport/answer.js'
import type { HttpClient } from '../transport/client.js'
import { refusalError } from '../transport/refusal.js'
import { brokenConnection, gatewayFailed } from '../transport/retry.js'
import { type ListedService, parseId, parseList } from './listed-service.js'
import { parseRegistered, type RegisteredService } from './registered-service.js'

/** What the Registry is called through; IdentityGateway of src/gateway is one. */
export interface RegistryGateway {
  readonly client: HttpClient
  url(endpoint: Endpoint, path?: string): URL
  /** Adds to an error what is known about the identity. */
  explain(error: unknown): unknown
}

/** A refusal of one request by the Registry itself. */
export interface Refused {
  readonly outcome: 'refused'
  readonly status: number
  /** The Registry's text, on one line and without secrets. */
  readonly said: string
  readonly error: KyconnectError
}

/** The answer did not arrive, or does not say whether the service was registered. */
export interface Lost {
  readonly outcome: 'lost'
  readonly error: KyconnectError
  /** False where the Registry may still work on the request: sent again, it could register the service twice. */
  readonly maySendAgain: boolean
}

export type Creation = { readonly outcome: 'created'; readonly id: string } | Refused | Lost
export type Replacement = { readonly outcome: 'replaced' | 'unknown' } | Refused
export type Deletion = { readonly outcome: 'deleted' } | Refused

const mebi = 1024 * 1024
/** A list of 500 services has 94 kB (docs/contract.md §9). */
const maxListBytes = 8 * mebi
/** A body has at most 5 MiB; on read each `<`, `>` and `&` of its specs has six bytes (docs/contract.md §3 and §9). */
const maxServiceBytes = 32 * mebi
/**
 * Of an unsuccessful answer: enough for a refusal that names every field. Twice as much is redacted before the text is cut to this, so that
 * no secret is cut and shown in part.
 */
const maxSaidChars = 16 * 1024

/**
 * The calls of the Application Registry (docs/contract.md §9). What may be repeated safely is repeated when a connection breaks: all
 * calls but `create`. A refusal of one service is a result; what would fail for every service is thrown.
 * @throws ClientCertificateRefusedError, ServerCertificateError, NetworkError, TimeoutError, RequestRefusedError, ServiceFailedError,
 * AnswerMalformedError from each call
 */
export class RegistryClient {
  readonly #gateway: RegistryGateway
  readonly #redactor: Redactor

  constructor(gateway: RegistryGateway, redactor: Redactor) {
    this.#gateway = gateway
    this.#redactor = redactor
  }

  /** All services, in the order of their creation. */
  async list(): Promise<readonly ListedService[]> {
    const what = 'the list of services'
    const answer = await this.#send('GET', '', { maxAnswerBytes: maxListBytes })
    // Neither a part of the list (206) nor one that a proxy has changed (203): what it does not have would be created again.
    if (answer.status !== 200) throw this.#refusal(answer, what)
    return parseList(answer.body, answer.url.host)
  }

  /** @returns undefined when there is no such service */
  async get(id: string): Promise<RegisteredService | undefined> {
    const what = `the service ${id}`
    const answer = await this.#send('GET', id, { maxAnswerBytes: maxServiceBytes })
    if (answer.status === 404 && registryText(answer) !== undefined) return undefined
    if (answer.status >= 300) throw this.#refusal(answer, what)
    const found = parseRegistered(answer.body, id)
    if (found !== undefined) return found
    throw new AnswerMalformedError(`${answer.url.host} answered ${what} with something that is not a JSON object`, {
      hints: ['check what runs in front of the service, and run the command again with --verbose'],
    })
  }

  /** Registers a service. It is sent once: the Registry answers 200, and a repetition could register a second service. */
  async create(body: string): Promise<Creation> {
    const what = 'a new service'
    let answer: Answer
    try {
      answer = await this.#send('POST', '', { body })
    } catch (error) {
      if (isLost(error)) return { outcome: 'lost', error, maySendAgain: error instanceof NetworkError }
      throw error
    }
    const { status } = answer
    if (status < 300) {
      const id = parseId(parseJsonObject(answer.body) ?? {})
      if (id !== undefined) return { outcome: 'created', id }
      const error = new AnswerMalformedError(`${answer.url.host} answered ${what} without an id`, {
        hints: ['run the command again: it finds out whether the service is registered'],
      })
      return { outcome: 'lost', error, maySendAgain: false }
    }
    // A gateway that fails does not say whether the Registry got the request; at 504 it still had it.
    if (registryText(answer) === undefined && gatewayFailed(status))
      return { outcome: 'lost', error: this.#refusal(answer, what), maySendAgain: status !== 504 }
    return this.#refused(answer, what)
  }

  /** Replaces a service, except for its identifier and for what docs/contract.md §9 says about its parts. */
  async replace(id: string, body: string): Promise<Replacement> {
    const answer = await this.#send('PUT', id, { body })
    if (answer.status < 300) return { outcome: 'replaced' }
    if (answer.status === 404 && registryText(answer) !== undefined) return { outcome: 'unknown' }
    return this.#refused(answer, `the change of the service ${id}`)
  }

  /** Deletes a service; one that does not exist counts as deleted. */
  async delete(id: string): Promise<Deletion> {
    const answer = await this.#send('DELETE', id, {})
    return answer.status < 300 ? { outcome: 'deleted' } : this.#refused(answer, `the deletion of the service ${id}`)
  }

  async #send(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    id: string,
    { body, maxAnswerBytes }: { readonly body?: string; readonly maxAnswerBytes?: number },
  ): Promise<Answer> {
    const request = {
      method,
      url: this.#gateway.url('metadata', id),
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
      ...(maxAnswerBytes === undefined ? {} : { maxAnswerBytes }),
    }
    try {
      return await this.#gateway.client.send(request, method === 'POST' ? 'never' : 'idempotent')
    } catch (error) {
      throw this.#gateway.explain(error)
    }
  }

  /** A refusal as a result. @throws when it is about the certificate or the App, and not about this request */
  #refused(answer: Answer, what: string): Refused {
    const said = registryText(answer)
    const error = this.#refusal(answer, what)
    const { status } = answer
    const isAboutRequest = said === undefined ? status >= 500 || status === 413 : status !== 401 && status !== 403
    if (!isAboutRequest) throw error
    return { outcome: 'refused', status, said: this.#clean(said ?? ''), error }
  }

  #clean(said: string): string {
    return oneLine(this.#redactor.redact(said.slice(0, 2 * maxSaidChars))).slice(0, maxSaidChars)
  }

  #refusal(answer: Answer, what: string): KyconnectError {
    const body = this.#redactor.redact(answer.body.slice(0, 2 * maxSaidChars))
    const error = refusalError({ ...answer, body }, what)
    const explained = this.#gateway.explain(error)
    return explained instanceof KyconnectError ? explained : error
  }
}

/** The text of an error in the form that the Registry's errors have (docs/contract.md §3); undefined for what the gateway answers itself. */
function registryText({ body }: Answer): string | undefined {
  return text(parseJsonObject(body) ?? {}, 'error')
}

/** Whether the connection broke, or no answer came that is HTTP. A connection that cannot be made is another matter. */
function isLost(error: unknown): error is KyconnectError {
  if (error instanceof NetworkError) return error.requestSent || brokenConnection.has(error.reason ?? '')
  if (error instanceof TimeoutError) return error.requestSent
  return error instanceof AnswerMalformedError
}
