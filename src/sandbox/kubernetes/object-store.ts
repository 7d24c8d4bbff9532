import { isDeepStrictEqual } from 'node:util'
import type { State } from '../state.js'
import { isJsonArray, parseJson } from './json.js'
import { isKubernetesObject, namespaceOf, type KubernetesObject } from './object.js'
import { expired } from './refusal.js'
import { groupVersion, tokenRequests, type Resource } from './resources.js'

const FILE = 'kubernetes.json'
/** Changes that can still be watched from, as many as the API server's own cache begins with. */
const HISTORY = 100

/** An object came (no `before`), changed, or went (no `after`). */
export interface Change {
  readonly version: number
  readonly before?: KubernetesObject
  readonly after?: KubernetesObject
}

/** The objects of the cluster, with one counter for their versions. */
export interface ObjectStore {
  /** The version of the last change. */
  version(): number
  /** Puts an object there that is there at each start anew and is not kept; one that was kept stays as it is. */
  seed(object: KubernetesObject): void
  get(resource: Resource, namespace: string, name: string): KubernetesObject | undefined
  /** In the order of their namespaces and names. */
  all(): readonly KubernetesObject[]
  /** Puts an object in its place, with the next version; when it is there already just so, nothing happens. Gives what is there now. */
  put(object: KubernetesObject): KubernetesObject
  remove(object: KubernetesObject): void
  /** The changes after this version. @throws Refusal when they are not all known any more */
  changesSince(version: number): readonly Change[]
  /** Tells of each change from now on, until what it gives back is called. */
  onChange(listener: (change: Change) => void): () => void
}

const keyOf = (apiVersion: string, kind: string, namespace: string, name: string): string =>
  [apiVersion, kind, namespace, name].join(' ')
const keyOfObject = (object: KubernetesObject): string =>
  keyOf(object.apiVersion, object.kind, namespaceOf(object), object.metadata.name)

/**
 * TokenRequests are not kept: their tokens do not outlive the process. `now` begins the counter, so that a version of an earlier start
 * is too old rather than of something else.
 */
export function openObjectStore(state: State, now: Date): ObjectStore {
  const objects = new Map<string, KubernetesObject>()
  const seeded = new Set<string>()
  const listeners = new Set<(change: Change) => void>()
  const history: Change[] = []
  let version = Math.floor(now.getTime() / 1000)
  let forgotten = version

  const isKept = (object: KubernetesObject): boolean =>
    object.kind !== tokenRequests.kind && !seeded.has(keyOfObject(object))
  const keep = (after: Iterable<KubernetesObject>, changed: KubernetesObject): void => {
    if (isKept(changed)) state.write(FILE, JSON.stringify([...after].filter(isKept)))
  }
  const tell = (change: Change): void => {
    history.push(change)
    forgotten = history.length > HISTORY ? (history.shift()?.version ?? forgotten) : forgotten
    for (const listener of [...listeners]) listener(change)
  }
  const versioned = (object: KubernetesObject, resourceVersion: number): KubernetesObject => ({
    ...object,
    metadata: { ...object.metadata, resourceVersion: String(resourceVersion) },
  })

  const place = (object: KubernetesObject): void => {
    objects.set(keyOfObject(object), versioned(object, ++version))
    forgotten = version
  }
  for (const object of state.read(FILE, parseObjects) ?? []) place(object)

  return {
    version: () => version,
    seed(object) {
      const key = keyOfObject(object)
      if (objects.has(key)) return
      seeded.add(key)
      place(object)
    },
    get: (resource, namespace, name) => objects.get(keyOf(groupVersion(resource), resource.kind, namespace, name)),
    all: () => [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object),
    put(object) {
      const key = keyOfObject(object)
      const before = objects.get(key)
      if (before !== undefined && isDeepStrictEqual(versioned(object, version), versioned(before, version)))
        return before
      const after = versioned(object, version + 1)
      keep(new Map([...objects, [key, after]]).values(), after)
      version++
      objects.set(key, after)
      tell({ version, ...(before && { before }), after })
      return after
    },
    remove(object) {
      const key = keyOfObject(object)
      const before = objects.get(key)
      if (before === undefined) return
      keep(
        [...objects.values()].filter((other) => other !== before),
        before,
      )
      version++
      objects.delete(key)
      tell({ version, before })
    },
    changesSince(since) {
      if (since < forgotten) throw expired(since, forgotten)
      return history.filter((change) => change.version > since)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** The file is this module's own. */
function parseObjects(text: string): readonly KubernetesObject[] {
  const value = parseJson(text)
  if (!isJsonArray(value) || !value.every(isKubernetesObject)) throw new Error('it is no list of objects')
  return value
}
