import { randomBytes } from 'node:crypto'
import type { KyconnectError } from '../errors.js'
import { eventConnection } from '../events/event-connection.js'
import type { SenderDeps } from '../events/event-sender.js'
import { endpoints } from '../gateway/endpoint-url.js'
import { explainRefusal } from '../gateway/refused-certificate.js'
import type { Identity } from '../identity/identity.js'
import { gatewayRoute } from '../identity/route.js'
import type { PairDeps } from '../pairing/policy.js'
import { FetchClient } from '../transport/fetch-client.js'
import type { FetchInit, FetchResponse } from '../transport/fetch-message.js'
import { resolveTarget, type Route } from '../transport/route.js'
import { callableUrl } from './callable-url.js'
import { clientTls, type ClientTls } from './client-tls.js'
import { Keeper } from '../renewal/keeper.js'

/** The URLs of the App as they are called: with the NodePort. undefined where the gateway has not named one yet. */
export interface LiveEndpoints {
  readonly metadata: string | undefined
  readonly events: string | undefined
  readonly info: string | undefined
}

/** The client certificate that is in use. */
export interface LiveCertificate {
  /** RFC 4514. */
  readonly subject: string
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  readonly notBefore: Date
  readonly notAfter: Date
}

export interface LiveIdentityEvents {
  /** Called after each change of the certificate, whether this process renewed it or another one did. */
  readonly onRenewed?: ((certificate: LiveCertificate) => void) | undefined
  /** Called when a renewal failed or the store could not be read. Requests go on with the current certificate until it expires. */
  readonly onError?: ((error: KyconnectError) => void) | undefined
}

/** The connections of one certificate. */
interface Connected {
  readonly route: Route
  readonly client: FetchClient
}

let readEventDeps: (identity: LiveIdentity) => EventDeps

/** What publishing events needs of an identity; for `publishEvents` alone. */
export function eventDepsOf(identity: LiveIdentity): EventDeps {
  return readEventDeps(identity)
}

/** How events are sent, and as whose. */
export interface EventDeps {
  /** The App's name, as the event bus sees it. */
  readonly source: string
  readonly seed: string
  readonly now: () => Date
  readonly sender: Omit<SenderDeps, 'onPipeliningGivenUp'>
}

/**
 * An identity that renews itself while it is used. It has no timer and does not keep the process running: each `fetch` compares dates, and
 * `publishEvents` does every 10 seconds.
 * When less than a third of the lifetime is left, a `fetch` starts a renewal in the background. At most every 10 seconds, a `fetch` checks in
 * the background whether another process has changed the store.
 */
export class LiveIdentity {
  readonly #deps: PairDeps
  readonly #keeper: Keeper
  readonly #events: LiveIdentityEvents
  readonly #controller: AbortController
  #connected: Connected
  #fingerprint: string
  /** Clients of earlier certificates, whose requests have not ended. */
  readonly #retiring = new Set<FetchClient>()

  static {
    readEventDeps = (identity) => identity.#eventDeps()
  }

  /** @param controller of the signal in `deps`; `close` aborts it */
  constructor(identity: Identity, deps: PairDeps, controller: AbortController, events: LiveIdentityEvents) {
    this.#deps = deps
    this.#events = events
    this.#controller = controller
    this.#connected = this.#connect(identity)
    this.#fingerprint = identity.metadata.fingerprint
    this.#keeper = new Keeper(identity, deps, {
      onChange: (changed) => {
        this.#change(changed)
      },
      onError: (error) => {
        notify(events.onError, error)
      },
    })
  }

  get endpoints(): LiveEndpoints {
    const { urls } = this.#keeper.identity.metadata
    const called = (name: string): string | undefined => {
      const text = urls[name]
      return text === undefined ? undefined : resolveTarget(this.#connected.route, new URL(text)).url.href
    }
    return {
      metadata: called(endpoints.metadata),
      events: called(endpoints.events),
      info: called(endpoints.info),
    }
  }

  get certificate(): LiveCertificate {
    return certificateOf(this.#keeper.identity)
  }

  /**
   * Sends a request with the client certificate, by undici's fetch: `init` and the Response are those of the Fetch standard. (The
   * Response is not an instance of the global class.)
   * @param pathOrUrl `metadata`, `metadata/<id>`, `events` or `info`; `/<path>` on the gateway; or a URL on the gateway, such as one of
   *   `endpoints`. The NodePort, the resolve rules, the CA and the proxy that were stored at pairing are applied.
   * @throws CertificateExpiredError without any request; UntrustedUrlError for a URL, or a redirect, that leads elsewhere; UsageError;
   *   NetworkError, TimeoutError (after 30 s without progress), ServerCertificateError, ClientCertificateRefusedError; the reason of an
   *   aborted signal. A body that breaks off rejects with a TypeError whose cause is one of these.
   */
  async fetch(pathOrUrl: string | URL, init?: FetchInit): Promise<FetchResponse> {
    this.#deps.transport.signal.throwIfAborted()
    const { metadata } = await this.#keeper.usable()
    const url = callableUrl(metadata, pathOrUrl)
    try {
      return await this.#connected.client.fetch(url, init)
    } catch (error) {
      throw explainRefusal(error, metadata, this.#deps.now())
    }
  }

  /**
   * The key and certificates for another client: `https.Agent`, axios, got, pg. Call it again after `onRenewed`. Call the URLs in
   * `endpoints`, which have the NodePort; resolve rules reach clients on node:net through `lookup`, and any other client needs the address
   * itself.
   */
  tls(): ClientTls {
    return clientTls(this.#keeper.identity, this.#connected.route)
  }

  /**
   * Renews the certificate now if it is due, even if a renewal failed just before. For programs that are idle for a long time.
   * @returns whether the certificate is a new one now; another process may have renewed it
   * @throws CertificateExpiredError, CertificateRevokedError, LockHeldError, and what the requests of a renewal throw
   */
  async renewIfDue(): Promise<boolean> {
    this.#deps.transport.signal.throwIfAborted()
    return this.#keeper.renewIfDue()
  }

  /** Ends all requests and connections at once, and a renewal that runs; the identity in the store stays whole. May be called again. */
  async close(): Promise<void> {
    this.#controller.abort(new DOMException('the identity has been closed', 'AbortError'))
    await Promise.all([...this.#retiring, this.#connected.client].map((client) => client.close()))
    await this.#keeper.settle()
  }

  /** Closes the identity at the end of a block that declares it with `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #eventDeps(): EventDeps {
    const { now, transport, choice } = this.#deps
    return {
      source: this.#keeper.identity.metadata.commonName,
      seed: randomBytes(16).toString('hex'),
      now,
      sender: {
        ...eventConnection(this.#keeper, choice),
        monotonic: transport.now,
        random: Math.random,
        trace: transport.trace,
        signal: transport.signal,
      },
    }
  }

  #connect(identity: Identity): Connected {
    const { choice, transport } = this.#deps
    const route = gatewayRoute(choice, identity)
    return { route, client: new FetchClient(route, transport) }
  }

  #change(identity: Identity): void {
    const { client } = this.#connected
    this.#connected = this.#connect(identity)
    this.#retiring.add(client)
    void client.retire().finally(() => this.#retiring.delete(client))
    const { fingerprint } = identity.metadata
    if (fingerprint === this.#fingerprint) return
    this.#fingerprint = fingerprint
    notify(this.#events.onRenewed, certificateOf(identity))
  }
}

function certificateOf({ metadata }: Identity): LiveCertificate {
  const { subject, fingerprint, notBefore, notAfter } = metadata
  return { subject, fingerprint, notBefore, notAfter }
}

/** What a callback throws is the program's own error: it must not end a renewal. */
function notify<T>(callback: ((value: T) => void) | undefined, value: T): void {
  if (callback === undefined) return
  queueMicrotask(() => {
    callback(value)
  })
}
