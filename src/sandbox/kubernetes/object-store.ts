import { isDeepStrictEqual } from 'node:util'
import type { State } from '../state.js'
import { isJsonArray, parseJson } from './json.js'
import { isKubernetesObject, namespaceOf, type KubernetesObject } from './object.js'
import { expired } from './refusal.js'
import { groupVersion, tokenRequests, type Resource } from './resources.js'

const FILE = 'kubernetes.json'
/** The number of changes that a watch can still begin from: the initial size of the API server's own cache. */
const HISTORY_LENGTH = 100

/** An object was created (no `before`), changed, or deleted (no `after`). */
export interface Change {
  readonly version: number
  readonly before?: KubernetesObject
  readonly after?: KubernetesObject
}

/** The objects of the cluster, whose versions come from one counter. */
export interface ObjectStore {
  /** The version of the last change. */
  version(): number
  /** Adds an object that exists at each start and is not stored. A stored object of that name is left as it is. */
  seed(object: KubernetesObject): void
  get(resource: Resource, namespace: string, name: string): KubernetesObject | undefined
  /** Sorted by namespace and name. */
  all(): readonly KubernetesObject[]
  /** Stores an object under the next version, or does nothing when it is unchanged. Gives the stored object. */
  put(object: KubernetesObject): KubernetesObject
  remove(object: KubernetesObject): void
  /** The changes after this version. @throws Refusal when some of them are no longer known */
  changesSince(version: number): readonly Change[]
  /** Calls `listener` with each change from now on, until the function that it gives is called. */
  onChange(listener: (change: Change) => void): () => void
}

const keyOf = (apiVersion: string, kind: string, namespace: string, name: string): string =>
  [apiVersion, kind, namespace, name].join(' ')
const keyOfObject = (object: KubernetesObject): string =>
  keyOf(object.apiVersion, object.kind, namespaceOf(object), object.metadata.name)

/**
 * TokenRequests are not stored, because their tokens do not outlive the process. The counter begins at `now`, so that a version of an
 * earlier run is too old and never means another change.
 */
export function openObjectStore(state: State, now: Date): ObjectStore {
  const objects = new Map<string, KubernetesObject>()
  const seeded = new Set<string>()
  const listeners = new Set<(change: Change) => void>()
  const history: Change[] = []
  let version = Math.floor(now.getTime() / 1000)
  let forgotten = version

  const isStored = (object: KubernetesObject): boolean =>
    object.kind !== tokenRequests.kind && !seeded.has(keyOfObject(object))
  const save = (after: Iterable<KubernetesObject>, changed: KubernetesObject): void => {
    if (isStored(changed)) state.write(FILE, JSON.stringify([...after].filter(isStored)))
  }
  const report = (change: Change): void => {
    history.push(change)
    forgotten = history.length > HISTORY_LENGTH ? (history.shift()?.version ?? forgotten) : forgotten
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
      save(new Map([...objects, [key, after]]).values(), after)
      version++
      objects.set(key, after)
      report({ version, ...(before && { before }), after })
      return after
    },
    remove(object) {
      const key = keyOfObject(object)
      const before = objects.get(key)
      if (before === undefined) return
      save(
        [...objects.values()].filter((other) => other !== before),
        before,
      )
      version++
      objects.delete(key)
      report({ version, before })
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

/** Reads the file that this module writes. */
function parseObjects(text: string): readonly KubernetesObject[] {
  const value = parseJson(text)
  if (!isJsonArray(value) || !value.every(isKubernetesObject)) throw new Error('it is not a list of objects')
  return value
}
