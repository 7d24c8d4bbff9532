import {
  emptyJsonAnswer,
  errorAnswer,
  headerOf,
  jsonAnswer,
  methodNotAllowed,
  notFound,
  type Answer,
  type Backend,
  type Request,
} from '../http/exchange.js'
import { JsonSyntaxError, marshal, unmarshal } from '../go/json.js'
import { goString, textOf, typeError, type GoType } from '../go/struct.js'
import type { ClientContext, Owner } from './client-context.js'
import { CONNECTOR_PATHS, kindsOfClients, tokenUrl } from './paths.js'
import type { Revocations } from './revocations.js'
import type { Tokens } from './tokens.js'

export interface InternalApiParts {
  readonly connectorUrl: string
  /** Central mode: tenant and group are required, and runtimes can be paired. */
  readonly central: boolean
  readonly tokens: Tokens
  readonly revocations: Revocations
}

/** The Connector's in-cluster API (docs/contract.md §2). */
export function createInternalApi({ connectorUrl, central, tokens, revocations }: InternalApiParts): Backend {
  const issueToken = (kind: ClientContext['kind'], request: Request): Answer => {
    const context = contextOf(kind, central, request)
    if (context === undefined) {
      const name = kind === 'application' ? 'ApplicationContext' : 'ClusterContext'
      return errorAnswer(400, `Required headers for ${name} not specified.`)
    }
    const token = tokens.issue(context)
    return jsonAnswer(201, marshal({ url: tokenUrl(connectorUrl, kind, token), token }))
  }
  const revoke = (request: Request): Answer => {
    const hash = readHash(request.body)
    if ('complaint' in hash) return errorAnswer(400, `Error while unmarshalling request body: ${hash.complaint}.`)
    revocations.add(hash.value)
    return emptyJsonAnswer(201)
  }
  const endpoints = new Map<string, (request: Request) => Answer>([
    ...kindsOfClients(central).map((kind): [string, (request: Request) => Answer] => [
      CONNECTOR_PATHS[kind].tokens,
      (request) => issueToken(kind, request),
    ]),
    [CONNECTOR_PATHS.application.revocations, revoke],
  ])
  return (request) => {
    const endpoint = endpoints.get(request.path)
    if (endpoint === undefined) return notFound
    return request.method === 'POST' ? endpoint(request) : methodNotAllowed
  }
}

/** The client that the headers name; undefined when one of the required headers is missing. */
function contextOf(kind: ClientContext['kind'], central: boolean, request: Request): ClientContext | undefined {
  const app = headerOf(request, 'application')
  const owner: Owner = { tenant: headerOf(request, 'tenant'), group: headerOf(request, 'group') }
  const hasOwner = owner.tenant !== '' && owner.group !== ''
  if (kind === 'runtime') return hasOwner ? { kind, owner } : undefined
  if (app === '' || (central && !hasOwner)) return undefined
  return { kind, app, ...(central && { owner }) }
}

const REVOCATION_BODY: GoType = { kind: 'struct', name: 'internalapi.revocationBody', fields: { Hash: goString } }

/** The hash in a body, or Go's complaint about the body. */
function readHash(body: Buffer): { readonly value: string } | { readonly complaint: string } {
  try {
    const json = unmarshal(body)
    const complaint = typeError(json, REVOCATION_BODY)
    if (complaint !== undefined) return { complaint }
    const value = textOf(json, 'hash')
    return value === '' ? { complaint: 'certificate hash value not provided' } : { value }
  } catch (error) {
    if (error instanceof JsonSyntaxError) return { complaint: error.message }
    throw error
  }
}
