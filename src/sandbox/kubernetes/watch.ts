import type { Answer, Outlet } from '../http/exchange.js'
import type { JsonObject } from './json.js'
import type { KubernetesObject } from './object.js'
import type { Change, ObjectStore } from './object-store.js'
import { badRequest, Refusal } from './refusal.js'
import { groupVersion, type Resource } from './resources.js'

export interface Watch {
  readonly resource: Resource
  readonly query: URLSearchParams
  /** Whether an object, of whatever resource, is one of those watched. */
  readonly selects: (object: KubernetesObject) => boolean
  /** How an object is shown. */
  readonly show: (object: KubernetesObject) => JsonObject
}

/** Milliseconds between bookmarks, as of the API server. */
const BOOKMARK_TIME = 60_000
/** Milliseconds after which a watch that is to be cut is cut: the client has its headers by then. */
const CUT_TIME = 20
const LONGEST_TIMER = 2 ** 31 - 1

/** Answers watches; the first `drops` of them are cut soon after they began. */
export function createWatches(objects: ObjectStore, drops: number): (watch: Watch) => Answer {
  let left = drops
  return (watch) => {
    const since = versionIn(watch.query)
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: '',
      stream: (outlet) => {
        follow(objects, watch, since, outlet)
        if (left <= 0) return
        left--
        setTimeout(() => {
          outlet.cut()
        }, CUT_TIME).unref()
      },
    }
  }
}

/** 0 when none is given: from what is there now. */
function versionIn(query: URLSearchParams): number {
  if (query.get('sendInitialEvents') !== null) {
    // A client falls back to list and watch when it reads this.
    const message = 'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled'
    throw new Refusal(422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${message}`)
  }
  const text = query.get('resourceVersion') ?? ''
  if (!/^\d*$/.test(text)) throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion: invalid syntax`)
  return Number(text)
}

function follow(objects: ObjectStore, { resource, query, selects, show }: Watch, since: number, outlet: Outlet): void {
  const send = (type: string, object: JsonObject): void => {
    outlet.send(JSON.stringify({ type, object }) + '\n')
  }
  const tell = ({ before, after, version }: Change): void => {
    const was = before !== undefined && selects(before)
    if (after !== undefined && selects(after)) send(was ? 'MODIFIED' : 'ADDED', show(after))
    else if (was) {
      const metadata = { ...before.metadata, resourceVersion: String(version) }
      send('DELETED', show({ ...before, metadata }))
    }
  }
  const bookmark = (): void => {
    if (query.get('allowWatchBookmarks') !== 'true') return
    const metadata = { resourceVersion: String(objects.version()), creationTimestamp: null }
    send('BOOKMARK', { kind: resource.kind, apiVersion: groupVersion(resource), metadata })
  }
  try {
    if (since === 0)
      objects
        .all()
        .filter(selects)
        .map(show)
        .forEach((object) => {
          send('ADDED', object)
        })
    else objects.changesSince(since).forEach(tell)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    send('ERROR', error.status)
    outlet.end()
    return
  }
  const stop = objects.onChange(tell)
  const bookmarks = setInterval(bookmark, BOOKMARK_TIME)
  const seconds = Number(query.get('timeoutSeconds') ?? 0)
  const end = (): void => {
    bookmark()
    outlet.end()
  }
  const timeout = seconds > 0 ? setTimeout(end, Math.min(seconds * 1000, LONGEST_TIMER)) : undefined
  outlet.onClose(() => {
    stop()
    clearInterval(bookmarks)
    clearTimeout(timeout)
  })
}
