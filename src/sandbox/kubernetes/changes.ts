import { isDeepStrictEqual } from 'node:util'
import type { Request } from '../http/exchange.js'
import { arrayAt, objectAt, textAt, without, type JsonObject } from './json.js'
import { checkName, complete } from './kinds.js'
import {
  born,
  deleted,
  generatedName,
  namespaceOf,
  objectOf,
  readBody,
  readObject,
  uidOf,
  versionOf,
  type KubernetesObject,
} from './object.js'
import type { ObjectStore } from './object-store.js'
import { patchOf } from './patch.js'
import { PROTOBUF, readProtobuf } from './protobuf.js'
import {
  alreadyExists,
  badRequest,
  forbidden,
  invalid,
  modified,
  notFound,
  preconditionFailed,
  Refusal,
  unsupportedMediaType,
} from './refusal.js'
import { leases, namespaces, type Resource } from './resources.js'
import { find, type Target } from './target.js'

/** The verbs that change objects: each checks the request and gives the answer's body. @throws Refusal */
export interface Changes {
  create(target: Target, request: Request): JsonObject
  update(target: Target, request: Request): JsonObject
  patch(target: Target, request: Request): JsonObject
  delete(target: Target, request: Request): JsonObject
}

/** Namespaces that cannot be deleted. */
const PERMANENT = ['default', 'kube-system']

export function createChanges(objects: ObjectStore, now: () => Date): Changes {
  const store = (object: KubernetesObject, request: Request): KubernetesObject =>
    isDryRun(request.query) ? object : objects.put(object)

  /** Replaces `before` by `sent`, unless `sent` names another UID or version than that of `before`. */
  const replace = (
    { resource, name }: Target,
    before: KubernetesObject,
    sent: JsonObject,
    request: Request,
  ): JsonObject => {
    const metadata = objectAt(sent, 'metadata')
    const [uid, version] = [textAt(metadata, 'uid'), textAt(metadata, 'resourceVersion')]
    if (uid !== '' && uid !== uidOf(before)) {
      throw preconditionFailed(
        resource,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${uidOf(before)}`,
      )
    }
    if (version !== '' && version !== versionOf(before)) throw modified(resource, name)
    const { namespace, uid: same, creationTimestamp, generation } = before.metadata
    const fixed = {
      ...(namespace !== undefined && { namespace }),
      uid: same ?? '',
      creationTimestamp: creationTimestamp ?? '',
    }
    const kept = { ...without(metadata, 'managedFields'), name, ...fixed }
    const after = complete(resource, objectOf(resource, kept, without(sent, 'metadata')))
    const unchanged = isDeepStrictEqual(without(after, 'metadata'), without(before, 'metadata'))
    const generated = typeof generation === 'number' ? { generation: unchanged ? generation : generation + 1 } : {}
    return store({ ...after, metadata: { ...after.metadata, ...generated } }, request)
  }

  return {
    create(target, request) {
      const { resource, namespace } = target
      const sent = readObject(readSent(request, target.resource), target)
      if (resource.namespaced && objects.get(namespaces, '', namespace) === undefined)
        throw notFound(namespaces, namespace)
      const metadata = objectAt(sent, 'metadata')
      if (textAt(metadata, 'resourceVersion') !== '')
        throw badRequest('resourceVersion should not be set on objects to be created')
      const name = textAt(metadata, 'name') || generatedName(metadata)
      checkName(resource, name)
      const given = {
        ...without(metadata, 'managedFields', 'generateName'),
        name,
        ...(resource.namespaced && { namespace }),
      }
      const object = complete(resource, born(resource, given, now(), without(sent, 'metadata')))
      if (objects.get(resource, namespace, name) !== undefined) throw alreadyExists(resource, name)
      return store(object, request)
    },
    update(target, request) {
      const sent = readObject(readSent(request, target.resource), target)
      const before = find(objects, target)
      const { resource, name } = target
      if (textAt(sent, 'metadata', 'resourceVersion') === '' && (resource.custom === true || resource === leases))
        throw invalid(resource, name, 'metadata.resourceVersion', 'Invalid value: 0x0: must be specified for an update')
      return replace(target, before, sent, request)
    },
    patch(target, request) {
      const apply = patchOf(target.resource, mediaType(request))
      const body = readBody(request.body) ?? {}
      const before = find(objects, target)
      return replace(target, before, readObject(apply(before, body), target), request)
    },
    delete(target, request) {
      const { resource, name } = target
      const options = readBody(request.body) ?? {}
      const object = find(objects, target)
      checkPreconditions(resource, object, objectAt(options, 'preconditions'))
      if (resource === namespaces && PERMANENT.includes(name)) {
        const { code, reason, details } = forbidden(resource, { verb: 'delete', name, namespace: '' })
        throw new Refusal(code, reason, `namespaces "${name}" is forbidden: this namespace may not be deleted`, details)
      }
      if (!isDryRun(request.query) && arrayAt(options, 'dryRun').length === 0) {
        if (resource === namespaces)
          objects
            .all()
            .filter((one) => namespaceOf(one) === name)
            .forEach((one) => {
              objects.remove(one)
            })
        objects.remove(object)
      }
      return deleted(resource, object)
    },
  }
}

const isDryRun = (query: URLSearchParams): boolean => query.get('dryRun') === 'All'

function mediaType({ headers }: Request): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function readSent(request: Request, resource: Resource): JsonObject | undefined {
  const type = mediaType(request)
  if (type === '' || type === 'application/json') return readBody(request.body)
  const read = type === PROTOBUF ? readProtobuf(request.body, resource) : undefined
  if (read !== undefined) return read
  throw unsupportedMediaType(
    'the body of the request was in an unknown format - accepted media types include: application/json',
  )
}

function checkPreconditions(resource: Resource, object: KubernetesObject, preconditions: JsonObject): void {
  const [uid, version] = [textAt(preconditions, 'uid'), textAt(preconditions, 'resourceVersion')]
  const differs = (what: string, asked: string, there: string, end: string): Refusal =>
    preconditionFailed(
      resource,
      object.metadata.name,
      `the ${what} in the precondition (${asked}) does not match the ${what} in record (${there}). The object might have been ${end}`,
    )
  if (uid !== '' && uid !== uidOf(object)) throw differs('UID', uid, uidOf(object), 'deleted and then recreated')
  if (version !== '' && version !== versionOf(object))
    throw differs('ResourceVersion', version, versionOf(object), 'modified')
}
