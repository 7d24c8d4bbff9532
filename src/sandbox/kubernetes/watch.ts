import type { Answer, Outlet } from '../http/exchange.js'
import type { JsonObject } from './json.js'
import type { KubernetesObject } from './object.js'
import type { Change, ObjectStore } from './object-store.js'
import { badRequest, Refusal } from './refusal.js'
import { groupVersion, type Resource } from './resources.js'

export interface Watch {
  readonly resource: Resource
  readonly query: URLSearchParams
  /** Whether an object, of any resource, is one of those watched. */
  readonly selects: (object: KubernetesObject) => boolean
  /** How an object is shown. */
  readonly show: (object: KubernetesObject) => JsonObject
}

/** The API server's interval. */
const BOOKMARK_INTERVAL_MS = 60_000
/** The time from the beginning of a watch to its cut: the client has the headers by then. */
const CUT_DELAY_MS = 20
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Answers watches; the first `drops` of them are cut soon after they began. */
export function createWatches(objects: ObjectStore, drops: number): (watch: Watch) => Answer {
  let dropsLeft = drops
  return (watch) => {
    const since = versionIn(watch.query)
    const shown = objects.version()
    const first = firstEvents(objects, watch, since)
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: first.events.map(toLine).join(''),
      stream: (outlet) => {
        if (first.isLast) outlet.end()
        else follow(objects, watch, shown, outlet)
        if (dropsLeft <= 0) return
        dropsLeft--
        setTimeout(() => {
          outlet.cut()
        }, CUT_DELAY_MS).unref()
      },
    }
  }
}

/** The version to watch from; 0 when none is given. */
function versionIn(query: URLSearchParams): number {
  if (query.get('sendInitialEvents') !== null) {
    // A client that reads this falls back to list and watch.
    const message = 'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled'
    throw new Refusal(422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${message}`)
  }
  const text = query.get('resourceVersion') ?? ''
  if (!/^\d*$/.test(text)) throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion: invalid syntax`)
  return Number(text)
}

interface WatchEvent {
  readonly type: string
  readonly object: JsonObject
}

const toLine = (event: WatchEvent): string => JSON.stringify(event) + '\n'

/** The events that a watch begins with: the objects that exist, or the changes since a version; or an error, which is the last event. */
function firstEvents(
  objects: ObjectStore,
  watch: Watch,
  since: number,
): { readonly events: readonly WatchEvent[]; readonly isLast: boolean } {
  if (since === 0) {
    const existing = objects.all().filter(watch.selects)
    return { events: existing.map((object) => ({ type: 'ADDED', object: watch.show(object) })), isLast: false }
  }
  try {
    return { events: objects.changesSince(since).flatMap((change) => eventsOf(change, watch)), isLast: false }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { events: [{ type: 'ERROR', object: error.status }], isLast: true }
  }
}

/** What a watch sees of a change: at most one event. */
function eventsOf({ before, after, version }: Change, { selects, show }: Watch): readonly WatchEvent[] {
  const was = before !== undefined && selects(before)
  if (after !== undefined && selects(after)) return [{ type: was ? 'MODIFIED' : 'ADDED', object: show(after) }]
  if (!was) return []
  const metadata = { ...before.metadata, resourceVersion: String(version) }
  return [{ type: 'DELETED', object: show({ ...before, metadata }) }]
}

/** Sends the changes after the version that the first events showed. */
function follow(objects: ObjectStore, watch: Watch, shown: number, outlet: Outlet): void {
  const { query, resource } = watch
  const sendChange = (change: Change): void => {
    for (const event of eventsOf(change, watch)) outlet.send(toLine(event))
  }
  const sendBookmark = (): void => {
    if (query.get('allowWatchBookmarks') !== 'true') return
    const metadata = { resourceVersion: String(objects.version()), creationTimestamp: null }
    const object = { kind: resource.kind, apiVersion: groupVersion(resource), metadata }
    outlet.send(toLine({ type: 'BOOKMARK', object }))
  }
  // Other requests may have changed objects since the first events were collected.
  objects.changesSince(shown).forEach(sendChange)
  const stop = objects.onChange(sendChange)
  const bookmarks = setInterval(sendBookmark, BOOKMARK_INTERVAL_MS)
  const timeoutSeconds = Number(query.get('timeoutSeconds') ?? 0)
  const end = (): void => {
    sendBookmark()
    outlet.end()
  }
  const timeout = timeoutSeconds > 0 ? setTimeout(end, Math.min(timeoutSeconds * 1000, LONGEST_TIMER_MS)) : undefined
  outlet.onClose(() => {
    stop()
    clearInterval(bookmarks)
    clearTimeout(timeout)
  })
}
