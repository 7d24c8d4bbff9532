import { randomBytes, randomUUID } from 'node:crypto'
import { isJsonObject, objectAt, parseJson, textAt, type Json, type JsonObject } from './json.js'
import { badRequest } from './refusal.js'
import { groupVersion, type Resource } from './resources.js'

export interface KubernetesObject extends JsonObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
}

export interface Metadata extends JsonObject {
  readonly name: string
}

export const namespaceOf = ({ metadata }: KubernetesObject): string => textAt(metadata, 'namespace')
export const uidOf = ({ metadata }: KubernetesObject): string => textAt(metadata, 'uid')
export const versionOf = ({ metadata }: KubernetesObject): string => textAt(metadata, 'resourceVersion')

/** Whether an object is of this resource, and in this namespace when one is named. */
export function isOf(object: KubernetesObject, resource: Resource, namespace = ''): boolean {
  const inPlace = namespace === '' || namespaceOf(object) === namespace
  return object.kind === resource.kind && object.apiVersion === groupVersion(resource) && inPlace
}

export function isKubernetesObject(value: Json | undefined): value is KubernetesObject {
  return (
    isJsonObject(value) &&
    textAt(value, 'apiVersion') !== '' &&
    textAt(value, 'kind') !== '' &&
    textAt(value, 'metadata', 'name') !== ''
  )
}

/** An object of this resource. */
export function objectOf(resource: Resource, metadata: Metadata, fields: JsonObject = {}): KubernetesObject {
  return { apiVersion: groupVersion(resource), kind: resource.kind, metadata, ...fields }
}

/** The JSON object in a body; undefined when the body is empty. @throws Refusal */
export function readBody(body: Buffer): JsonObject | undefined {
  if (body.length === 0) return undefined
  try {
    const value = parseJson(body.toString('utf8'))
    if (isJsonObject(value)) return value
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
  }
  throw badRequest('the object provided is unrecognized (must be of type Object): the body is not a JSON object')
}

/** Checks that the object that a client sent is of the kind, namespace and name in the path. @throws Refusal */
export function readObject(
  body: JsonObject | undefined,
  target: { readonly resource: Resource; readonly namespace: string; readonly name: string },
): JsonObject {
  const { resource, namespace, name } = target
  const sent = { apiVersion: groupVersion(resource), kind: resource.kind, ...body }
  if (sent.apiVersion !== groupVersion(resource)) {
    throw badRequest(
      `the API version in the data (${textAt(sent, 'apiVersion')}) does not match the expected API version (${groupVersion(resource)})`,
    )
  }
  if (sent.kind !== resource.kind) {
    throw badRequest(
      `the kind in the data (${textAt(sent, 'kind')}) does not match the expected kind (${resource.kind})`,
    )
  }
  const metadata = objectAt(sent, 'metadata')
  const sentNamespace = textAt(metadata, 'namespace')
  if (sentNamespace !== '' && sentNamespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  const sentName = textAt(metadata, 'name')
  if (name !== '' && sentName !== '' && sentName !== name)
    throw badRequest(`the name of the object (${sentName}) does not match the name on the URL (${name})`)
  return { ...sent, metadata }
}

/** An object with the metadata that the API server adds on creation. */
export function born(
  resource: Resource,
  metadata: KubernetesObject['metadata'],
  now: Date,
  fields: JsonObject = {},
): KubernetesObject {
  const creationTimestamp = timestamp(now)
  const generation = resource.custom === true ? { generation: 1 } : {}
  return objectOf(resource, { ...metadata, uid: randomUUID(), creationTimestamp, ...generation }, fields)
}

/** To the second, as Kubernetes writes times. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** A name made from `generateName`; '' when there is none. */
export function generatedName(metadata: JsonObject): string {
  const prefix = textAt(metadata, 'generateName')
  return prefix === '' ? '' : prefix + randomBytes(3).toString('hex').slice(1)
}

/** The `Status` that answers a deletion. */
export function deleted(resource: Resource, object: KubernetesObject): JsonObject {
  const group = resource.group === '' ? {} : { group: resource.group }
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: object.metadata.name, ...group, kind: resource.plural, uid: uidOf(object) },
  }
}
