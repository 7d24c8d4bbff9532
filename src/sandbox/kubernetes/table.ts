import { arrayAt, at, objectAt, textAt, type Json, type JsonObject } from './json.js'
import type { KubernetesObject } from './object.js'
import { leases, namespaces, secrets, services, type Resource } from './resources.js'

/** The part of each object that a row contains, as the client asks with `includeObject`. */
export type RowObject = 'None' | 'Metadata' | 'Object'

interface Column {
  readonly name: string
  readonly cell: (object: KubernetesObject, now: Date) => Json
}

/** The table that `kubectl get` prints. */
export function tableOf(
  resource: Resource,
  objects: readonly KubernetesObject[],
  version: string,
  { rowObject, now }: { readonly rowObject: RowObject; readonly now: Date },
): JsonObject {
  const columns = [NAME, ...(COLUMNS.get(resource) ?? []), AGE]
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: version },
    columnDefinitions: columns.map(({ name }) => ({
      name,
      type: 'string',
      format: name === 'Name' ? 'name' : '',
      description: '',
      priority: 0,
    })),
    rows: objects.map((object) => ({
      cells: columns.map(({ cell }) => cell(object, now)),
      ...(rowObject !== 'None' && { object: rowObject === 'Object' ? object : metadataOnly(object) }),
    })),
  }
}

const metadataOnly = ({ metadata }: KubernetesObject): JsonObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata,
})

const NAME: Column = { name: 'Name', cell: ({ metadata }) => metadata.name }
const AGE: Column = { name: 'Age', cell: ({ metadata }, now) => age(textAt(metadata, 'creationTimestamp'), now) }

const COLUMNS = new Map<Resource, readonly Column[]>([
  [
    services,
    [
      { name: 'Type', cell: (service) => textAt(service, 'spec', 'type') },
      { name: 'Cluster-IP', cell: (service) => textAt(service, 'spec', 'clusterIP') || '<none>' },
      { name: 'External-IP', cell: () => '<none>' },
      { name: 'Port(s)', cell: (service) => arrayAt(service, 'spec', 'ports').map(portText).join(',') || '<none>' },
    ],
  ],
  [
    secrets,
    [
      { name: 'Type', cell: (secret) => textAt(secret, 'type') },
      { name: 'Data', cell: (secret) => Object.keys(objectAt(secret, 'data')).length },
    ],
  ],
  [namespaces, [{ name: 'Status', cell: (namespace) => textAt(namespace, 'status', 'phase') }]],
  [leases, [{ name: 'Holder', cell: (lease) => textAt(lease, 'spec', 'holderIdentity') }]],
])

function portText(port: Json): string {
  const [number, nodePort] = [at(port, 'port'), at(port, 'nodePort')]
  const opened = typeof nodePort === 'number' ? `:${nodePort}` : ''
  return `${typeof number === 'number' ? number : '?'}${opened}/${textAt(port, 'protocol')}`
}

/** An age in one unit, as kubectl writes it. */
function age(since: string, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - new Date(since).getTime()) / 1000))
  if (Number.isNaN(seconds)) return '<unknown>'
  if (seconds < 120) return `${seconds}s`
  if (seconds < 3 * 3600) return `${Math.floor(seconds / 60)}m`
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}
