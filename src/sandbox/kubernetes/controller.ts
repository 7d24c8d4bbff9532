import { textAt, type JsonObject } from './json.js'
import { hasWholeContext } from './kinds.js'
import { isOf, namespaceOf, timestamp, uidOf, type KubernetesObject } from './object.js'
import type { ObjectStore } from './object-store.js'
import { tokenRequests } from './resources.js'

/** How the controller misbehaves. */
export interface ControllerOptions {
  /** Seconds it takes before it looks at a TokenRequest. */
  readonly delaySeconds?: number
  /** It is down: nothing happens to TokenRequests, not even when they expire. */
  readonly silent?: boolean
  /** So many of its first tries end in an error. */
  readonly failures?: number
  /** How it spells that state: the tutorial's reference says ERR, Kyma 1.0 Error. */
  readonly errorState?: 'Error' | 'ERR'
}

export interface ControllerParts {
  readonly objects: ObjectStore
  /** Asks the Connector for a token. */
  readonly issue: (app: string) => { readonly token: string; readonly url: string }
  /** Seconds from a token to `expireAfter`. */
  readonly life: number
  readonly now: () => Date
  readonly options: ControllerOptions
}

/** Milliseconds to another try where nothing else happens to the object; it stands for the controller's looking at all of them anew. */
const RETRY_TIME = 1000
const LONGEST_TIMER = 2 ** 31 - 1

/** The controller of TokenRequests (contract §1). Gives what stops it. */
export function startController({ objects, issue, life, now, options }: ControllerParts): () => void {
  const { delaySeconds = 0, failures = 0, errorState = 'Error' } = options
  if (options.silent === true) return () => undefined
  const timers = new Map<string, NodeJS.Timeout>()
  let failuresLeft = failures
  let writing = false

  const forget = (object: KubernetesObject): void => {
    clearTimeout(timers.get(uidOf(object)))
    timers.delete(uidOf(object))
  }
  const lookIn = (milliseconds: number, object: KubernetesObject): void => {
    forget(object)
    const look = (): void => {
      timers.delete(uidOf(object))
      const there = objects.get(tokenRequests, namespaceOf(object), object.metadata.name)
      if (there !== undefined && uidOf(there) === uidOf(object)) handle(there)
    }
    timers.set(uidOf(object), setTimeout(look, Math.min(Math.max(milliseconds, 0), LONGEST_TIMER)))
  }

  const handle = (object: KubernetesObject): void => {
    const left = timeLeft(object, now())
    if (left <= 0) objects.remove(object)
    else if (hasToken(object)) lookIn(left, object)
    else {
      const succeeds = failuresLeft <= 0 && hasWholeContext(object)
      failuresLeft--
      const application = object.metadata.name
      const expireAfter = timestamp(new Date(now().getTime() + life * 1000))
      const status: JsonObject = succeeds
        ? { application, ...issue(application), state: 'OK', expireAfter }
        : { application, token: '', url: '', state: errorState, expireAfter: null }
      // Its own writing is no event to it: an error would be tried again at once, and nobody would see it.
      writing = true
      const written = objects.put({ ...object, status })
      writing = false
      lookIn(succeeds ? timeLeft(written, now()) : RETRY_TIME, written)
    }
  }

  const stop = objects.onChange(({ before, after }) => {
    if (writing) return
    if (before !== undefined && isOf(before, tokenRequests) && after === undefined) forget(before)
    if (after === undefined || !isOf(after, tokenRequests)) return
    // A look that is due stays due, however often the object changes.
    const isDue = timers.has(uidOf(after)) && before !== undefined && !hasToken(before) && !isFailed(before)
    if (!isDue) lookIn(delaySeconds * 1000, after)
  })
  return () => {
    stop()
    for (const timer of timers.values()) clearTimeout(timer)
  }
}

const hasToken = (object: KubernetesObject): boolean => textAt(object, 'status', 'token') !== ''
const isFailed = (object: KubernetesObject): boolean => !['', 'OK'].includes(textAt(object, 'status', 'state'))

/** Milliseconds to `expireAfter`; without end where there is none. */
function timeLeft(object: KubernetesObject, now: Date): number {
  const expires = Date.parse(textAt(object, 'status', 'expireAfter'))
  return Number.isNaN(expires) ? Infinity : expires - now.getTime()
}
