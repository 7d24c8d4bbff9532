import type { State } from '../state.js'
import { complete } from './kinds.js'
import { born, isOf } from './object.js'
import { openObjectStore, type ObjectStore } from './object-store.js'
import { applications, namespaces } from './resources.js'

/** The cluster's objects, and the Apps among them. */
export interface Cluster {
  readonly objects: ObjectStore
  apps(): readonly string[]
  hasApp(name: string): boolean
  onAppDeleted(listener: (name: string) => void): void
}

const NAMESPACES = ['default', 'kube-system', 'kyma-system', 'kyma-integration']

/** @param apps Apps that exist at each start, beside those that were created through the API */
export function openCluster(apps: readonly string[], state: State, now: Date): Cluster {
  const objects = openObjectStore(state, now)
  for (const name of NAMESPACES) objects.seed(complete(namespaces, born(namespaces, { name }, now)))
  // The gateway accepts more names than the API does: these are not checked.
  for (const name of apps)
    objects.seed(born(applications, { name }, now, { spec: { description: '', labels: {}, services: [] } }))
  return {
    objects,
    apps: () => objects.all().flatMap((object) => (isOf(object, applications) ? [object.metadata.name] : [])),
    hasApp: (name) => objects.get(applications, '', name) !== undefined,
    onAppDeleted(listener) {
      objects.onChange(({ before, after }) => {
        if (before !== undefined && after === undefined && isOf(before, applications)) listener(before.metadata.name)
      })
    },
  }
}
