import type { Answer, Backend, Request } from '../http/exchange.js'
import { createChanges } from './changes.js'
import { createDiscovery } from './discovery.js'
import type { JsonObject } from './json.js'
import { isOf, versionOf, type KubernetesObject } from './object.js'
import type { ObjectStore } from './object-store.js'
import { forbidden, jsonAnswer, methodNotAllowed, noSuchResource, Refusal } from './refusal.js'
import { groupResource, groupVersion, type Resource } from './resources.js'
import { selectedName, selectorOf } from './selector.js'
import { tableOf, type RowObject } from './table.js'
import { find, targetOf, verbOf, type Target, type Verb } from './target.js'
import { createWatches } from './watch.js'

/** A forbidden verb on a resource (`tokenrequests`, with or without its group); `*` stands for all verbs or resources. */
export interface Denial {
  readonly verb: string
  readonly resource: string
}

export interface ApiParts {
  readonly objects: ObjectStore
  readonly resources: readonly Resource[]
  readonly deny: readonly Denial[]
  /** The number of watches that are cut soon after they began. */
  readonly dropWatches: number
  readonly now: () => Date
}

/** The Kubernetes REST API, for clients that are authenticated already. */
export function createApi(parts: ApiParts): Backend {
  const { objects, resources, deny, now } = parts
  const discovery = createDiscovery(resources)
  const changes = createChanges(objects, now)
  const watch = createWatches(objects, parts.dropWatches)

  const selectorFor = (
    { resource, namespace }: Target,
    query: URLSearchParams,
  ): ((object: KubernetesObject) => boolean) => {
    const selects = selectorOf(query)
    return (object) => isOf(object, resource, namespace) && selects(object)
  }

  const act = (verb: Verb, target: Target, request: Request): Answer => {
    const { resource } = target
    const showTable = tableFor(resource, request, now)
    switch (verb) {
      case 'get': {
        const object = find(objects, target)
        return jsonAnswer(200, showTable?.([object], versionOf(object)) ?? object)
      }
      case 'list': {
        const items = objects.all().filter(selectorFor(target, request.query))
        const version = String(objects.version())
        return jsonAnswer(200, showTable?.(items, version) ?? listOf(resource, items, version))
      }
      case 'watch': {
        const selects = selectorFor(target, request.query)
        const show = (object: KubernetesObject): JsonObject => showTable?.([object], versionOf(object)) ?? object
        return watch({ resource, query: request.query, selects, show })
      }
      default:
        if (resource.nameOnly === true) throw methodNotAllowed
        return jsonAnswer(verb === 'create' ? 201 : 200, changes[verb](target, request))
    }
  }

  const answer = (request: Request): Answer => {
    const known = discovery(request.path, request.headers.accept ?? '')
    if (known !== undefined) return request.method === 'GET' ? known : jsonAnswer(405, methodNotAllowed.status)
    const target = targetOf(request.path, resources)
    if (target === undefined) return noSuchPath(request.path)
    const verb = verbOf(request.method, target, request.query)
    if (verb === undefined || (verb === 'create' && target.resource.namespaced && target.namespace === ''))
      throw methodNotAllowed
    if (deny.some((denial) => isDenied(denial, verb, target.resource))) {
      const name = target.name === '' ? selectedName(request.query) : target.name
      throw forbidden(target.resource, { ...target, name, verb })
    }
    return act(verb, target, request)
  }
  return (request) => {
    try {
      return answer(request)
    } catch (error) {
      const refusal = error instanceof Refusal ? error : internalError(error)
      return jsonAnswer(refusal.code, refusal.status)
    }
  }
}

const internalError = (error: unknown): Refusal =>
  new Refusal(
    500,
    'InternalError',
    `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
  )

/** Below `/apis/` the last handler of the API server answers, and that one sends plain text in place of a `Status`. */
function noSuchPath(path: string): Answer {
  if (!path.startsWith('/apis/')) throw noSuchResource
  return { status: 404, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: '404 page not found\n' }
}

function isDenied({ verb, resource }: Denial, asked: Verb, of: Resource): boolean {
  return (verb === '*' || verb === asked) && ['*', of.plural, groupResource(of)].includes(resource)
}

/** Whether an Accept header has a media type with `as=Table` and `v=v1` among its parameters. */
function acceptsTable(accept: string): boolean {
  return accept.split(',').some((type) => {
    const parameters = type.split(';').map((parameter) => parameter.trim())
    return parameters.includes('as=Table') && parameters.includes('v=v1')
  })
}

function listOf(resource: Resource, items: readonly KubernetesObject[], resourceVersion: string): JsonObject {
  return { kind: `${resource.kind}List`, apiVersion: groupVersion(resource), metadata: { resourceVersion }, items }
}

/** Gives the function that shows objects as a table; undefined when the client does not ask for one. */
function tableFor(
  resource: Resource,
  { headers, query }: Request,
  now: () => Date,
): ((objects: readonly KubernetesObject[], version: string) => JsonObject) | undefined {
  if (!acceptsTable(headers.accept ?? '')) return undefined
  const asked = query.get('includeObject')
  const rowObject: RowObject = asked === 'None' || asked === 'Object' ? asked : 'Metadata'
  return (objects, version) => tableOf(resource, objects, version, { rowObject, now: now() })
}
