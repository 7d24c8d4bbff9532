import { objectAt, textAt, type JsonObject } from './json.js'
import { isOf, namespaceOf, timestamp, uidOf, type KubernetesObject } from './object.js'
import type { ObjectStore } from './object-store.js'
import { tokenRequests } from './resources.js'

/** Faults of the controller. */
export interface ControllerOptions {
  /** Time until it looks at a TokenRequest. */
  readonly delaySeconds?: number
  /** It does nothing, not even when TokenRequests expire. */
  readonly silent?: boolean
  /** The number of its first tries that fail. */
  readonly failures?: number
  /** The name of the failed state: `ERR` in the tutorial's reference, `Error` in Kyma 1.0. */
  readonly errorState?: 'Error' | 'ERR'
}

/** A call to the Connector's internal API (docs/contract.md §2). */
export interface TokenCall {
  readonly app: string
  readonly owner?: { readonly tenant: string; readonly group: string }
}

/** Asks the Connector for a token; undefined when the Connector refuses. */
export type IssueToken = (call: TokenCall) => { readonly token: string; readonly url: string } | undefined

export interface ControllerParts {
  readonly objects: ObjectStore
  readonly issue: IssueToken
  /** Time from a token to its `expireAfter`. */
  readonly tokenLifetimeSeconds: number
  readonly now: () => Date
  readonly options: ControllerOptions
}

/** Time to the next try when the object does not change. It stands in for the controller's periodic check and for its busy loop. */
const RETRY_INTERVAL_MS = 1000
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The controller of TokenRequests (docs/contract.md §1). Gives the function that stops it. */
export function startController({ objects, issue, tokenLifetimeSeconds, now, options }: ControllerParts): () => void {
  const { delaySeconds = 0, failures = 0, errorState = 'Error' } = options
  if (options.silent === true) return () => undefined
  const timers = new Map<string, NodeJS.Timeout>()
  let failuresLeft = failures
  let isWriting = false

  const forget = (object: KubernetesObject): void => {
    clearTimeout(timers.get(uidOf(object)))
    timers.delete(uidOf(object))
  }
  const checkIn = (delayMs: number, object: KubernetesObject): void => {
    forget(object)
    const check = (): void => {
      timers.delete(uidOf(object))
      const current = objects.get(tokenRequests, namespaceOf(object), object.metadata.name)
      if (current !== undefined && uidOf(current) === uidOf(object)) handle(current)
    }
    timers.set(uidOf(object), setTimeout(check, Math.min(Math.max(delayMs, 0), LONGEST_TIMER_MS)))
  }

  const handle = (object: KubernetesObject): void => {
    const leftMs = timeLeftMs(object, now())
    if (leftMs <= 0) objects.remove(object)
    else if (hasToken(object)) checkIn(leftMs, object)
    else {
      const written = writeStatus(object)
      checkIn(hasToken(written) ? timeLeftMs(written, now()) : RETRY_INTERVAL_MS, written)
    }
  }

  const writeStatus = (object: KubernetesObject): KubernetesObject => {
    const application = object.metadata.name
    const expireAfter = timestamp(new Date(now().getTime() + tokenLifetimeSeconds * 1000))
    const fails = failuresLeft > 0
    failuresLeft--
    // The controller ignores the Connector's status: a refusal looks like a success without token and URL.
    const issued = fails ? undefined : (issue(callFor(object)) ?? { token: '', url: '' })
    const status: JsonObject =
      issued === undefined
        ? { application, token: '', url: '', state: errorState, expireAfter: null }
        : { application, ...issued, state: 'OK', expireAfter }
    // If its own update made it try again at once, as the real one does, an error would never be seen.
    isWriting = true
    const written = objects.put({ ...object, status })
    isWriting = false
    return written
  }

  const stop = objects.onChange(({ before, after }) => {
    if (isWriting) return
    if (before !== undefined && isOf(before, tokenRequests) && after === undefined) forget(before)
    if (after === undefined || !isOf(after, tokenRequests)) return
    // A check that is due stays due, however often the object changes.
    const isDue = timers.has(uidOf(after)) && before !== undefined && !hasToken(before) && !isTried(before)
    if (!isDue) checkIn(delaySeconds * 1000, after)
  })
  return () => {
    stop()
    for (const timer of timers.values()) clearTimeout(timer)
  }
}

const hasToken = (object: KubernetesObject): boolean => textAt(object, 'status', 'token') !== ''
const isTried = (object: KubernetesObject): boolean => textAt(object, 'status', 'state') !== ''

/** Tenant and group are sent when both are set (docs/contract.md §1). */
function callFor(object: KubernetesObject): TokenCall {
  const context = objectAt(object, 'context')
  const [app, tenant, group] = [object.metadata.name, textAt(context, 'tenant'), textAt(context, 'group')]
  return tenant === '' || group === '' ? { app } : { app, owner: { tenant, group } }
}

/** Time to `expireAfter`; Infinity when there is none. */
function timeLeftMs(object: KubernetesObject, now: Date): number {
  const expires = Date.parse(textAt(object, 'status', 'expireAfter'))
  return Number.isNaN(expires) ? Infinity : expires - now.getTime()
}
