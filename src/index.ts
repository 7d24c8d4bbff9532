/**
 * What other programs may import. The commands use the same interface.
 *
 * @example
 * import { openIdentity } from 'kyconnect'
 *
 * const identity = await openIdentity({ profile: 'shop' })
 * const response = await identity.fetch('metadata')
 * console.log(await response.json())
 * await identity.close()
 */
import type { IdentityStore } from './identity/store.js'
import { flowDeps, Kyconnect, openStore, plainRun } from './kyconnect.js'
import { LiveIdentity, type LiveIdentityEvents } from './live-identity/live-identity.js'
import { Redactor } from './redaction.js'
import { readRuntime } from './runtime.js'

export * from './errors.js'
export type { Endpoint } from './gateway/endpoint-url.js'
export type { Gateway, RequestInit, StreamedAnswer } from './gateway/gateway.js'
export type { Identity, Material, Metadata, Pending, StoredRoute, Urls } from './identity/identity.js'
export type { RouteChoice } from './identity/route.js'
export type { IdentityStore, ProfileChange, ProfileSummary, Written } from './identity/store.js'
export type { Kyconnect, RunOptions } from './kyconnect.js'
export type { ClientTls } from './live-identity/client-tls.js'
export type { LiveCertificate, LiveEndpoints, LiveIdentity, LiveIdentityEvents } from './live-identity/live-identity.js'
export {
  type EventOutcome,
  type EventsToPublish,
  type EventToPublish,
  publishEvents,
  type PublishEventsOptions,
} from './live-identity/publish-events.js'
export type { KeySource } from './pairing/key-source.js'
export type { PairRequest } from './pairing/pair.js'
export type { PairPolicy } from './pairing/policy.js'

export type { Emit, ProgressEvent } from './progress.js'
export type { Revocation } from './renewal/revoke.js'
export type { Runtime } from './runtime.js'
export type { FetchInit, FetchResponse } from './transport/fetch-message.js'

/** Opens kyconnect in this process. @param signal when aborted, ends all running work with its reason */
export function openKyconnect(signal: AbortSignal = new AbortController().signal): Promise<Kyconnect> {
  return Kyconnect.open(readRuntime(signal))
}

export interface OpenIdentityOptions extends LiveIdentityEvents {
  /** By default the only one that is stored. */
  readonly profile?: string | undefined
  /** The folder of the identities, or another store; by default the folder that the commands use. */
  readonly store?: string | IdentityStore | undefined
  /** When aborted, closes the identity; its reason is the error that running requests end with. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens an identity for calls to its gateway that renews itself while it is used.
 * @throws NoIdentityError, ProfileAmbiguousError, ProfileNameError, IdentityUnusableError, HomeUnsafeError, FilesError; UsageError when
 *   HTTPS_PROXY is not a URL; the reason of an aborted signal
 */
export async function openIdentity(options: OpenIdentityOptions = {}): Promise<LiveIdentity> {
  const { profile, store, signal } = options
  signal?.throwIfAborted()
  const controller = new AbortController()
  const runtime = readRuntime(controller.signal)
  const opened = typeof store === 'object' ? store : await openStore(runtime, store)
  const identity = await new Kyconnect(runtime, opened).identity(profile)
  const live = new LiveIdentity(identity, flowDeps(runtime, opened, new Redactor(), plainRun), controller, options)
  if (signal === undefined) return live
  signal.throwIfAborted()
  const abort = (): void => {
    controller.abort(signal.reason)
    void live.close()
  }
  signal.addEventListener('abort', abort, { once: true })
  controller.signal.addEventListener('abort', () => {
    signal.removeEventListener('abort', abort)
  })
  return live
}
