import type { Answer } from '../http/exchange.js'
import type { JsonObject } from './json.js'
import { CLUSTER_USER } from './authentication.js'
import { groupKind, groupResource, type Resource } from './resources.js'

/** The refusal of a request by a `Status` object. The texts are the API server's. */
export class Refusal extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly details?: JsonObject,
  ) {
    super(message)
  }

  get status(): JsonObject {
    const { code, reason, message, details } = this
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason !== '' && { reason }),
      ...(details && { details }),
      code,
    }
  }
}

export function jsonAnswer(status: number, body: JsonObject): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) + '\n' }
}

const detailsOf = ({ group, plural }: Resource, name: string): JsonObject => ({
  ...(name !== '' && { name }),
  ...(group !== '' && { group }),
  kind: plural,
})

export const unauthorized = new Refusal(401, 'Unauthorized', 'Unauthorized')

/** The path names a resource or a sub-resource that does not exist. */
export const noSuchResource = new Refusal(404, 'NotFound', 'the server could not find the requested resource', {})

export const methodNotAllowed = new Refusal(
  405,
  'MethodNotAllowed',
  'the server does not allow this method on the requested resource',
  {},
)

export const badRequest = (message: string): Refusal => new Refusal(400, 'BadRequest', message)

export const notFound = (resource: Resource, name: string): Refusal =>
  new Refusal(404, 'NotFound', `${groupResource(resource)} "${name}" not found`, detailsOf(resource, name))

export const alreadyExists = (resource: Resource, name: string): Refusal =>
  new Refusal(409, 'AlreadyExists', `${groupResource(resource)} "${name}" already exists`, detailsOf(resource, name))

/** The update was made from another version of the object. */
export const modified = (resource: Resource, name: string): Refusal =>
  new Refusal(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${groupResource(resource)} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
    detailsOf(resource, name),
  )

/** The object is not the one that the request was meant for. The API server names the kind here, not the resource. */
export const preconditionFailed = (resource: Resource, name: string, why: string): Refusal =>
  new Refusal(409, 'Conflict', `Operation cannot be fulfilled on ${groupKind(resource)} "${name}": ${why}`, {
    ...detailsOf(resource, name),
    kind: resource.kind,
  })

export const expired = (asked: number, oldest: number): Refusal =>
  new Refusal(410, 'Expired', `too old resource version: ${asked} (${oldest})`)

export const invalid = (resource: Resource, name: string, field: string, message: string): Refusal =>
  new Refusal(422, 'Invalid', `${groupKind(resource)} "${name}" is invalid: ${field}: ${message}`, {
    ...detailsOf(resource, name),
    kind: resource.kind,
    causes: [
      {
        reason: message.startsWith('Required') ? 'FieldValueRequired' : 'FieldValueInvalid',
        message,
        field,
      },
    ],
  })

export const forbidden = (
  resource: Resource,
  { verb, name, namespace }: { readonly verb: string; readonly name: string; readonly namespace: string },
): Refusal => {
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
  const named = name === '' ? '' : ` "${name}"`
  return new Refusal(
    403,
    'Forbidden',
    `${groupResource(resource)}${named} is forbidden: User "${CLUSTER_USER}" cannot ${verb} resource "${resource.plural}" in API group "${resource.group}" ${where}`,
    detailsOf(resource, name),
  )
}

export const unsupportedMediaType = (message: string): Refusal => new Refusal(415, 'UnsupportedMediaType', message)
