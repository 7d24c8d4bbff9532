import {
  emptyJsonAnswer,
  errorAnswer,
  headerOf,
  jsonAnswer,
  methodNotAllowed,
  notFound,
  type Backend,
} from '../http/exchange.js'
import { JsonSyntaxError, marshal, unmarshal } from '../go/json.js'
import { goString, textOf, typeError, type GoType } from '../go/struct.js'
import type { Revocations } from './revocations.js'
import type { Tokens } from './tokens.js'

const REVOCATION_BODY: GoType = { kind: 'struct', name: 'internalapi.revocationBody', fields: { hash: goString } }

/** The URL that starts a pairing. The token is not percent-encoded in it (contract §2). */
export function tokenUrl(connectorUrl: string, token: string): string {
  return `${connectorUrl}/v1/applications/signingRequests/info?token=${token}`
}

/** The Connector's in-cluster API (contract §2). */
export function createInternalConnector(connectorUrl: string, tokens: Tokens, revocations: Revocations): Backend {
  return (request) => {
    if (request.path === '/v1/applications/tokens') {
      if (request.method !== 'POST') return methodNotAllowed
      const app = headerOf(request, 'application')
      if (app === '') return errorAnswer(400, 'Required headers for ApplicationContext not specified.')
      const token = tokens.issue(app)
      return jsonAnswer(201, marshal({ url: tokenUrl(connectorUrl, token), token }))
    }
    if (request.path === '/v1/applications/certificates/revocations') {
      if (request.method !== 'POST') return methodNotAllowed
      const hash = readHash(request.body)
      if ('complaint' in hash) return errorAnswer(400, `Error while unmarshalling request body: ${hash.complaint}.`)
      revocations.add(hash.value)
      return emptyJsonAnswer(201)
    }
    return notFound
  }
}

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
