import { AnswerMalformedError, KyconnectError, NetworkError, TimeoutError } from '../errors.js'
import { member, text } from '../json.js'
import type { Emit } from '../progress.js'
import { apiRefusal } from './api-failure.js'
import type { ApiRequest, KubernetesApi } from './api.js'
import { tokenRequests } from './resource.js'
import {
  deletedByAnother,
  isInstalled,
  kubectlDelete,
  noTokenUrl,
  tokenRefused,
  tokenRequestRefusal,
} from './token-request-failure.js'
import {
  markOf,
  newTokenRequest,
  type Owner,
  parseTokenRequest,
  type TokenRequestObject,
  uidOf,
} from './token-request-object.js'

/** The App for which a token is requested. */
export interface TokenSpec {
  readonly app: string
  readonly owner: Owner | undefined
  /** Milliseconds to wait for the controller. */
  readonly waitMs: number
}

/** A token URL from a cluster, and the way to clean up after it. */
export interface IssuedToken {
  /** As the controller wrote it, unparsed. */
  readonly url: string
  /** Deletes the TokenRequest, unless another one has taken its name. Works after an interruption too. @throws as KubernetesApi.request */
  readonly discard: () => Promise<void>
}

export interface TokenRequestDeps {
  readonly now: () => Date
  /** Milliseconds on a monotonic clock. */
  readonly monotonic: () => number
  readonly randomHex: (bytes: number) => string
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
  readonly signal: AbortSignal
  readonly emit: Emit
}

const maxCreations = 5
const firstPauseMs = 200
const maxPauseMs = 5000
/** Time limit for cleaning up, which runs after Ctrl-C too. */
const cleanUpTimeoutMs = 10_000
/** Time limit from the moment of a Ctrl-C, before the cleaning up or during it: the user waits for the end. */
const interruptedCleanUpTimeoutMs = 3000
/** How many times kyconnect looks for an object whose creation was not answered: the API server may still be working on it. */
const maxLooks = 3

/**
 * Asks a cluster for a one-time token URL: deletes a TokenRequest of that name, whose status may be stale, creates one, and watches it
 * until its URL is there (docs/contract.md §1). After any failure, the created one is deleted.
 * @throws RequestRefusedError also when the controller reports success without a URL; ServiceFailedError when its state is not OK in
 * time; TimeoutError when it has no state in time; and as KubernetesApi.request
 */
export async function requestToken(api: KubernetesApi, spec: TokenSpec, deps: TokenRequestDeps): Promise<IssuedToken> {
  const end = deps.monotonic() + spec.waitMs
  const created = await replaceTokenRequest(api, spec, deps)
  const discard = (): Promise<void> => remove(api, spec.app, created.uid, cleanUpSignal(api, deps.signal))
  try {
    if (spec.owner !== undefined && !created.hasOwner)
      deps.emit({ type: 'warning', warning: 'owner-ignored', ...spec.owner, by: 'cluster' })
    return { url: await awaitUrl(api, spec, created, end, deps), discard }
  } catch (error) {
    await discard().catch((failure: unknown) => {
      addLeftHint(error, failure, api, spec.app)
    })
    throw error
  }
}

/** A signal for cleaning up, which an interruption does not end at once. */
function cleanUpSignal({ cluster }: KubernetesApi, interruption: AbortSignal): AbortSignal {
  const controller = new AbortController()
  const { signal } = controller
  const limit = (timeoutMs: number): void => {
    setTimeout(() => {
      controller.abort(
        new TimeoutError(`the Kubernetes API at ${cluster.server.host} did not answer within ${timeoutMs / 1000} s`),
      )
    }, timeoutMs).unref()
  }
  const hurry = (): void => {
    limit(interruptedCleanUpTimeoutMs)
  }
  limit(cleanUpTimeoutMs)
  if (interruption.aborted) hurry()
  else interruption.addEventListener('abort', hurry, { once: true, signal })
  return signal
}

/** Says in an error that a TokenRequest is, or may be, left in the cluster. */
function addLeftHint(error: unknown, failure: unknown, api: KubernetesApi, app: string): void {
  if (error instanceof KyconnectError && failure instanceof KyconnectError) {
    error.addHint(
      `delete its TokenRequest, which could not be deleted (${failure.message}): kubectl ${kubectlDelete(api, app)}`,
    )
  }
}

async function replaceTokenRequest(
  api: KubernetesApi,
  spec: TokenSpec,
  deps: TokenRequestDeps,
): Promise<TokenRequestObject> {
  for (let attempt = 1; ; attempt++) {
    await removeOld(api, spec.app, attempt === 1, deps)
    const outcome = await create(api, spec, deps)
    if (!('conflict' in outcome)) return outcome
    if (attempt >= maxCreations) throw outcome.conflict
    await deps.sleep(firstPauseMs * attempt, deps.signal)
  }
}

/**
 * Creates the TokenRequest. Its creation is the point from which something is left to clean up: unless the API server itself says that
 * nothing was created, the object is looked for and deleted before an error is thrown.
 * @returns a conflict when the name is taken: another program was faster, or the old object is still being deleted
 */
async function create(
  api: KubernetesApi,
  { app, owner }: TokenSpec,
  deps: TokenRequestDeps,
): Promise<TokenRequestObject | { readonly conflict: KyconnectError }> {
  const mark = deps.randomHex(8)
  const cleanUp = (error: unknown): Promise<void> =>
    removeMarked(api, app, mark, deps).catch((failure: unknown) => {
      addLeftHint(error, failure, api, app)
    })
  const body = newTokenRequest(app, api.cluster.namespace, mark, owner)
  const request: ApiRequest = { verb: 'create', kind: tokenRequests, name: app, body }
  const answer = await api.request(request, deps.signal).catch(async (error: unknown) => {
    const wasSent = !(error instanceof NetworkError || error instanceof TimeoutError) || error.requestSent
    if (wasSent) await cleanUp(error)
    throw error
  })
  if (answer.status >= 400) {
    const refusal = tokenRequestRefusal(answer.status, answer.body, request, api)
    // Anything but a Status may come from a proxy in between, while the API server has created the object.
    if (text(answer.body, 'kind') !== 'Status') await cleanUp(refusal)
    else if (answer.status === 409) return { conflict: refusal }
    throw refusal
  }
  const created = parseTokenRequest(answer.body, app)
  if (created !== undefined) return created
  const error = new AnswerMalformedError(
    'the Kubernetes API answered the creation of a TokenRequest without its name, UID or version',
    { hints: [`check that ${api.cluster.server.origin} is the API server of the cluster`] },
  )
  await cleanUp(error)
  throw error
}

async function removeOld(api: KubernetesApi, app: string, warn: boolean, deps: TokenRequestDeps): Promise<void> {
  const request: ApiRequest = { verb: 'get', kind: tokenRequests, name: app }
  const { status, body } = await api.request(request, deps.signal)
  if (status === 404 && isInstalled(body)) return
  if (status >= 400) throw tokenRequestRefusal(status, body, request, api)
  const old = parseTokenRequest(body, app)
  if (warn && old?.state === 'OK' && old.expiresAt !== undefined && old.expiresAt > deps.now())
    deps.emit({ type: 'warning', warning: 'token-request-replaced', app, validUntil: old.expiresAt })
  await remove(api, app, old?.uid, deps.signal)
}

/** Deletes the object with our mark: its creation got no answer or an unexpected one, and may still be in progress. */
async function removeMarked(
  api: KubernetesApi,
  app: string,
  mark: string,
  { sleep, signal: interruption }: Pick<TokenRequestDeps, 'sleep' | 'signal'>,
): Promise<void> {
  const signal = cleanUpSignal(api, interruption)
  const request: ApiRequest = { verb: 'get', kind: tokenRequests, name: app }
  for (let look = 1; ; look++) {
    const { status, body } = await api.request(request, signal)
    if (status < 400) {
      if (markOf(body) === mark) await remove(api, app, uidOf(body), signal)
      return
    }
    if (status !== 404) throw apiRefusal(status, body, request, api.cluster)
    if (look === maxLooks) return
    await sleep(firstPauseMs * look, signal)
  }
}

/** Deletes exactly this object. If it no longer exists, or another object has its name, nothing happens. */
async function remove(api: KubernetesApi, app: string, uid: string | undefined, signal: AbortSignal): Promise<void> {
  const request: ApiRequest = {
    verb: 'delete',
    kind: tokenRequests,
    name: app,
    body: { kind: 'DeleteOptions', apiVersion: 'v1', ...(uid === undefined ? {} : { preconditions: { uid } }) },
  }
  const { status, body } = await api.request(request, signal)
  if (status >= 400 && status !== 404 && status !== 409) throw apiRefusal(status, body, request, api.cluster)
}

async function awaitUrl(
  api: KubernetesApi,
  { app, owner, waitMs }: TokenSpec,
  created: TokenRequestObject,
  end: number,
  deps: TokenRequestDeps,
): Promise<string> {
  const over = new AbortController()
  const timer = setTimeout(() => {
    over.abort()
  }, end - deps.monotonic())
  const signal = AbortSignal.any([deps.signal, over.signal])
  let version = created.resourceVersion
  let state: string | undefined
  /** The URL, if the object has one. @throws RequestRefusedError when it is not our object, or when it will never have a URL */
  const readUrl = (object: object): string | undefined => {
    const found = parseTokenRequest(object, app)
    if (found?.uid !== created.uid) throw deletedByAnother(app)
    version = found.resourceVersion
    if (found.state === 'OK' && found.url === undefined) throw tokenRefused(api, app, owner)
    if (found.state === 'OK') return found.url
    state = found.state ?? state
    return undefined
  }
  try {
    for (let drops = 0; ; drops++) {
      const url = await watchOnce(api, app, version, created.uid, readUrl, signal)
      if (url !== undefined) return url
      if (signal.aborted) break
      // The watch ended, or its version was too old: the object itself holds what was missed.
      await deps.sleep(Math.min(firstPauseMs * 2 ** drops, maxPauseMs), signal)
      const request: ApiRequest = { verb: 'get', kind: tokenRequests, name: app }
      const { status, body } = await api.request(request, signal)
      if (status === 404) throw deletedByAnother(app)
      if (status >= 400) throw tokenRequestRefusal(status, body, request, api)
      const present = readUrl(body)
      if (present !== undefined) return present
    }
  } catch (error) {
    // After our own time limit, the running request fails with its own error.
    if (!over.signal.aborted || deps.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
  deps.signal.throwIfAborted()
  throw noTokenUrl(api, app, state, waitMs)
}

/** Runs one watch, from a version to its end. @returns the URL, if it arrived */
async function watchOnce(
  api: KubernetesApi,
  app: string,
  version: string,
  uid: string,
  readUrl: (object: object) => string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const query = {
    watch: 'true',
    fieldSelector: `metadata.name=${app}`,
    resourceVersion: version,
    allowWatchBookmarks: 'true',
  }
  for await (const event of api.watch({ verb: 'watch', kind: tokenRequests, name: app, query }, signal)) {
    const object = member(event, 'object')
    switch (text(event, 'type')) {
      case 'ADDED':
      case 'MODIFIED': {
        const url = readUrl(object)
        if (url !== undefined) return url
        break
      }
      case 'DELETED':
        if (uidOf(object) === uid) throw deletedByAnother(app)
        break
      case 'ERROR':
        // 410 Gone: the version is too old to watch from.
        return undefined
      default:
        break
    }
  }
  return undefined
}
