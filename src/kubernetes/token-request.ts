import { KyconnectError, RequestRefusedError, ServiceFailedError, TimeoutError } from '../errors.js'
import type { Emit } from '../progress.js'
import type { ApiRequest, KubernetesApi } from './api.js'
import { apiRefusal } from './api-failure.js'
import { member, text } from '../json.js'
import { statusMessage } from './status.js'
import { resourceName, tokenRequests } from './resource.js'

/** For which App a token is wanted. */
export interface TokenSpec {
  readonly app: string
  /** Central mode: both or neither (docs/contract.md §1). */
  readonly owner: { readonly tenant: string; readonly group: string } | undefined
  /** Milliseconds to wait for the controller. */
  readonly waitMs: number
}

/** A token URL out of a cluster, and the way to tidy up after it. */
export interface IssuedToken {
  /** As the controller wrote it, unparsed. */
  readonly url: string
  /** Deletes the TokenRequest, if it is still ours. Works after an interruption too. @throws what the API says */
  readonly discard: () => Promise<void>
}

export interface TokenRequestDeps {
  readonly now: () => Date
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
  readonly randomHex: (bytes: number) => string
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
  readonly signal: AbortSignal
  readonly emit: Emit
}

/** Tells ours from others' where its UID was not learned: the answer to its creation may be lost. */
const mark = 'kyconnect/request'
const triesToCreate = 5
const firstPauseMs = 200
const longestPauseMs = 5000
/** Milliseconds for tidying up, also after Ctrl-C. */
const tidyTime = 10_000

interface Watched {
  readonly uid: string
  readonly version: string
}

/**
 * Asks a cluster for a one-time token URL: deletes a TokenRequest of that name that is there (what it says may be stale), creates
 * one, and watches it until its URL is there (docs/contract.md §1). Whatever goes wrong, the one that was created is deleted.
 * @throws RequestRefusedError, ServiceFailedError when the controller said something else than OK, TimeoutError when it said nothing
 */
export async function requestToken(api: KubernetesApi, spec: TokenSpec, deps: TokenRequestDeps): Promise<IssuedToken> {
  const end = deps.monotonic() + spec.waitMs
  const created = await createAnew(api, spec, deps)
  const discard = (): Promise<void> => remove(api, spec.app, created.uid, AbortSignal.timeout(tidyTime))
  try {
    return { url: await awaitUrl(api, spec, created, end, deps), discard }
  } catch (error) {
    await discard().catch((failure: unknown) => {
      if (error instanceof KyconnectError && failure instanceof KyconnectError)
        error.addHint(
          `its TokenRequest could not be deleted (${failure.message}): kubectl ${kubectlDelete(api, spec.app)}`,
        )
    })
    throw error
  }
}

/** The arguments with which kubectl deletes it. */
export function kubectlDelete({ cluster }: KubernetesApi, app: string): string {
  return `--context ${cluster.context} -n ${cluster.namespace} delete ${resourceName(tokenRequests)} ${app}`
}

async function createAnew(api: KubernetesApi, spec: TokenSpec, deps: TokenRequestDeps): Promise<Watched> {
  const marked = deps.randomHex(8)
  const request: ApiRequest = {
    verb: 'create',
    kind: tokenRequests,
    name: spec.app,
    body: {
      apiVersion: `${tokenRequests.group}/${tokenRequests.version}`,
      kind: 'TokenRequest',
      metadata: { name: spec.app, namespace: api.cluster.namespace, annotations: { [mark]: marked } },
      ...(spec.owner === undefined ? {} : { context: spec.owner }),
    },
  }
  for (let attempt = 1; ; attempt++) {
    await removeOld(api, spec.app, deps)
    const { status, body } = await api.request(request, deps.signal).catch(async (error: unknown) => {
      await removeMarked(api, spec.app, marked).catch(() => undefined)
      throw error
    })
    if (status < 400) {
      const created = watchedOf(body)
      if (created !== undefined) return created
      throw new ServiceFailedError('the Kubernetes API created a TokenRequest without a name or version')
    }
    // Somebody else's, in the meantime, or the old one is being deleted still.
    if (status !== 409 || attempt >= triesToCreate) throw refusal(status, body, request, api)
    await deps.sleep(firstPauseMs * attempt, deps.signal)
  }
}

async function removeOld(api: KubernetesApi, app: string, deps: TokenRequestDeps): Promise<void> {
  const request: ApiRequest = { verb: 'get', kind: tokenRequests, name: app }
  const { status, body } = await api.request(request, deps.signal)
  if (status === 404) {
    if (!isInstalled(body)) throw refusal(status, body, request, api)
    return
  }
  if (status >= 400) throw refusal(status, body, request, api)
  const old = member(body, 'status')
  const expires = Date.parse(text(old, 'expireAfter') ?? '')
  if (text(old, 'state') === 'OK' && expires > deps.now().getTime()) {
    deps.emit({ type: 'warning', warning: 'token-request-replaced', app, validUntil: new Date(expires) })
  }
  await remove(api, app, text(member(body, 'metadata'), 'uid'), deps.signal)
}

/** Deletes what was created without our learning of it. */
async function removeMarked(api: KubernetesApi, app: string, marked: string): Promise<void> {
  const signal = AbortSignal.timeout(tidyTime)
  const { body } = await api.request({ verb: 'get', kind: tokenRequests, name: app }, signal)
  const metadata = member(body, 'metadata')
  if (text(member(metadata, 'annotations'), mark) === marked) await remove(api, app, text(metadata, 'uid'), signal)
}

/** Deletes exactly this object: gone already, or another in its place, is fine. */
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
  { app, waitMs }: TokenSpec,
  created: Watched,
  end: number,
  deps: TokenRequestDeps,
): Promise<string> {
  const over = new AbortController()
  const timer = setTimeout(() => {
    over.abort()
  }, end - deps.monotonic())
  const signal = AbortSignal.any([deps.signal, over.signal])
  let { version } = created
  let last: string | undefined
  /** The URL, when this is our object and it has one. @throws RequestRefusedError when it is not there any more */
  const look = (object: object): string | undefined => {
    const found = watchedOf(object)
    if (found?.uid !== created.uid) throw deletedByAnother(app)
    version = found.version
    const status = member(object, 'status')
    const state = text(status, 'state')
    if (state === 'OK') return text(status, 'url')
    last = state ?? last
    return undefined
  }
  try {
    for (let drops = 0; ; drops++) {
      const url = await watchOnce(api, app, version, created.uid, look, signal)
      if (url !== undefined) return url
      if (signal.aborted) break
      // The watch ended, or was too old: what was missed is in the object itself.
      await deps.sleep(Math.min(firstPauseMs * 2 ** drops, longestPauseMs), signal).catch(() => undefined)
      const request: ApiRequest = { verb: 'get', kind: tokenRequests, name: app }
      const { status, body } = await api.request(request, signal)
      if (status === 404) throw deletedByAnother(app)
      if (status >= 400) throw refusal(status, body, request, api)
      const present = look(body)
      if (present !== undefined) return present
    }
  } catch (error) {
    // What is aborted by our own clock fails in its own way.
    if (!over.signal.aborted || deps.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
  deps.signal.throwIfAborted()
  throw waitedInVain(api, app, last, waitMs)
}

/** One watch, from a version on, to its end. @returns the URL when it came */
async function watchOnce(
  api: KubernetesApi,
  app: string,
  version: string,
  uid: string,
  look: (object: object) => string | undefined,
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
        const url = look(object)
        if (url !== undefined) return url
        break
      }
      case 'DELETED':
        if (watchedOf(object)?.uid === uid) throw deletedByAnother(app)
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

function watchedOf(object: object): Watched | undefined {
  const metadata = member(object, 'metadata')
  const [uid, version] = [text(metadata, 'uid'), text(metadata, 'resourceVersion')]
  return uid === undefined || version === undefined ? undefined : { uid, version }
}

/** The API server names the object that it did not find; a kind that it does not know it cannot name. */
function isInstalled(body: object): boolean {
  return text(member(body, 'details'), 'name') !== undefined
}

function refusal(status: number, body: object, request: ApiRequest, api: KubernetesApi): KyconnectError {
  if (status === 404 && statusMessage(body).startsWith('namespaces ')) {
    return new RequestRefusedError(`there is no namespace "${api.cluster.namespace}" in the cluster (404)`, {
      hints: ['name the one that TokenRequests are made in with --namespace <name>'],
      details: { status, namespace: api.cluster.namespace, context: api.cluster.context },
    })
  }
  if (status === 404 && !isInstalled(body)) {
    return new RequestRefusedError(
      `the cluster of the context "${api.cluster.context}" knows no TokenRequests (404): Kyma's Application Connector is not installed there`,
      {
        hints: [
          `is it the right cluster? kubectl --context ${api.cluster.context} get crd ${resourceName(tokenRequests)}`,
          `choose another with --context <name>`,
        ],
        details: { status, context: api.cluster.context },
      },
    )
  }
  return apiRefusal(status, body, request, api.cluster)
}

function deletedByAnother(app: string): RequestRefusedError {
  return new RequestRefusedError(
    `the TokenRequest "${app}" was deleted or replaced by somebody else while we waited for it`,
    {
      hints: ['run the command again', 'does another program pair the same App?'],
    },
  )
}

function waitedInVain(api: KubernetesApi, app: string, last: string | undefined, waitMs: number): KyconnectError {
  const { context, namespace } = api.cluster
  const seconds = waitMs / 1000
  const logs = `kubectl --context ${context} -n kyma-integration logs -l app=connection-token-handler`
  if (last === undefined) {
    return new TimeoutError(
      `no token URL came within ${seconds} s: nothing has answered the TokenRequest "${app}" in the namespace "${namespace}"`,
      { hints: [`is the controller running? ${logs}`, `wait longer with --wait <seconds>`] },
    )
  }
  return new ServiceFailedError(
    `no token URL came within ${seconds} s: the state of the TokenRequest "${app}" is "${last}", not OK`,
    { hints: [`the controller cannot reach the Connector Service: ${logs}`, `wait longer with --wait <seconds>`] },
  )
}
