import type { KubernetesObject } from './object.js'
import type { ObjectStore } from './object-store.js'
import { notFound } from './refusal.js'
import { groupVersion, type Resource } from './resources.js'

/** The objects that a path names: one, those of a namespace, or all of a resource. */
export interface Target {
  readonly resource: Resource
  /** '' for objects of all namespaces, and for a resource without namespaces. */
  readonly namespace: string
  /** '' for all objects. */
  readonly name: string
}

/** The target of a path; undefined for an unknown resource and for a sub-resource. */
export function targetOf(path: string, resources: readonly Resource[]): Target | undefined {
  const segments = decoded(path)
  const version =
    segments[1] === 'api' ? segments[2] : segments[1] === 'apis' ? segments.slice(2, 4).join('/') : undefined
  const rest = segments.slice(segments[1] === 'api' ? 3 : 4)
  // `/namespaces/x` is a namespace, `/namespaces/x/secrets` its Secrets.
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2
  const [plural, name = '', ...more] = inNamespace ? rest.slice(2) : rest
  const resource = resources.find((one) => groupVersion(one) === version && one.plural === plural)
  if (resource === undefined || more.length > 0) return undefined
  const namespace = inNamespace ? (rest[1] ?? '') : ''
  // A single object of a namespaced resource is addressed through its namespace only.
  return resource.namespaced === inNamespace || (resource.namespaced && name === '')
    ? { resource, namespace, name }
    : undefined
}

function decoded(path: string): readonly string[] {
  try {
    return path.split('/').map(decodeURIComponent)
  } catch {
    return []
  }
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete'

/** The verb that RBAC would check; undefined for a method that the API does not offer. */
export function verbOf(method: string, { name }: Target, query: URLSearchParams): Verb | undefined {
  if (name === '') {
    if (method === 'POST') return 'create'
    if (method !== 'GET') return undefined
    return /^(1|true)$/.test(query.get('watch') ?? '') ? 'watch' : 'list'
  }
  return NAMED.get(method)
}

const NAMED = new Map<string, Verb>([
  ['GET', 'get'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
])

/** The object that a target names. @throws Refusal when it does not exist */
export function find(objects: ObjectStore, { resource, namespace, name }: Target): KubernetesObject {
  const found = objects.get(resource, namespace, name)
  if (found === undefined) throw notFound(resource, name)
  return found
}
