import { member, text } from '../json.js'
import { tokenRequests } from './resource.js'

/** Central mode: the tenant and group that a token is for. */
export interface Owner {
  readonly tenant: string
  readonly group: string
}

/** A TokenRequest as the API server returns it (docs/contract.md §1). */
export interface TokenRequestObject {
  readonly uid: string
  readonly resourceVersion: string
  /** undefined until the controller has written a status. */
  readonly state: string | undefined
  /** undefined when it is absent or empty. */
  readonly url: string | undefined
  /** The end of the token's life; undefined when it is absent or not a date. */
  readonly expiresAt: Date | undefined
  /** Whether the object has a tenant and a group. */
  readonly hasOwner: boolean
}

/** Tells our object from another one of the same name when the answer to its creation, and with it the UID, was lost. */
const markAnnotation = 'kyconnect/request'

/** Reads a TokenRequest; undefined when it has no UID or version, or is another object than the named one. */
export function parseTokenRequest(object: object, app: string): TokenRequestObject | undefined {
  const metadata = member(object, 'metadata')
  const status = member(object, 'status')
  const context = member(object, 'context')
  const [uid, resourceVersion] = [uidOf(object), text(metadata, 'resourceVersion')]
  if (uid === undefined || resourceVersion === undefined || text(metadata, 'name') !== app) return undefined
  const expires = Date.parse(text(status, 'expireAfter') ?? '')
  return {
    uid,
    resourceVersion,
    state: text(status, 'state'),
    url: text(status, 'url'),
    expiresAt: Number.isNaN(expires) ? undefined : new Date(expires),
    hasOwner: text(context, 'tenant') !== undefined && text(context, 'group') !== undefined,
  }
}

/** The object to create. */
export function newTokenRequest(app: string, namespace: string, mark: string, owner: Owner | undefined): object {
  return {
    apiVersion: `${tokenRequests.group}/${tokenRequests.version}`,
    kind: 'TokenRequest',
    metadata: { name: app, namespace, annotations: { [markAnnotation]: mark } },
    ...(owner === undefined ? {} : { context: owner }),
  }
}

export function uidOf(object: object): string | undefined {
  return text(member(object, 'metadata'), 'uid')
}

/** The mark of {@link newTokenRequest}. */
export function markOf(object: object): string | undefined {
  return text(member(member(object, 'metadata'), 'annotations'), markAnnotation)
}
