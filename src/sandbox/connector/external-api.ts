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
import { attributeIn } from '../http/subject-header.js'
import { marshal } from '../go/json.js'
import { firstPemBlock } from '../pki/pem.js'
import { announcedSubject, contextOfSubject, type ClientContext } from './client-context.js'
import { CONNECTOR_PATHS, kindsOfClients, type ConnectorPaths } from './paths.js'
import { certificateHash, type Revocations } from './revocations.js'
import { answerSigningRequest, type Signer } from './signing.js'
import type { Tokens } from './tokens.js'

/** The URLs of the hosts as the answers name them: the gateway's has no NodePort (docs/contract.md §0). */
export interface Addresses {
  readonly connectorUrl: string
  readonly gatewayUrl: string
}

export interface ExternalApiParts {
  readonly addresses: Addresses
  /** Central mode: certificates name tenant and group, and runtimes can be paired. */
  readonly central: boolean
  readonly tokens: Tokens
  readonly revocations: Revocations
  readonly signer: Signer
}

interface Endpoint {
  readonly method: string
  readonly answer: (request: Request) => Answer
}

/** The Connector's external API, of which each ingress serves a part (docs/contract.md §4 to §6, §8). */
export function createExternalApi(parts: ExternalApiParts): Backend {
  const endpoints = new Map(kindsOfClients(parts.central).flatMap((kind) => endpointsFor(kind, parts)))
  return (request) => {
    const endpoint = endpoints.get(request.path)
    if (endpoint === undefined) return notFound
    return endpoint.method === request.method ? endpoint.answer(request) : methodNotAllowed
  }
}

function endpointsFor(kind: ClientContext['kind'], parts: ExternalApiParts): [path: string, endpoint: Endpoint][] {
  const { addresses, central, tokens, revocations, signer } = parts
  const paths: ConnectorPaths = CONNECTOR_PATHS[kind]

  /** Calls `use` with the client of the token in the query. */
  const withToken = (request: Request, use: (context: ClientContext, token: string) => Answer): Answer => {
    const token = request.query.get('token') ?? ''
    if (token === '') return errorAnswer(403, 'Token not provided.')
    const context = tokens.clientOf(token)
    return context?.kind === kind ? use(context, token) : errorAnswer(403, 'Invalid token.')
  }

  const info = (request: Request): Answer =>
    withToken(request, (context, token) => {
      tokens.consume(token)
      const certificatesUrl = addresses.connectorUrl + paths.certificates
      const answer = {
        csrUrl: `${certificatesUrl}?token=${tokens.issue(context)}`,
        api: {
          ...appUrls(context, addresses),
          infoUrl: addresses.gatewayUrl + paths.managementInfo,
          certificatesUrl,
        },
        certificate: certificateInfo(context),
      }
      return jsonAnswer(200, marshal(answer))
    })

  const sign = (request: Request): Answer =>
    withToken(request, (context, token) => {
      const answer = answerSigningRequest(request.body, context, signer)
      // A failure leaves the token for another try (docs/contract.md §5).
      if (answer.status === 201) tokens.consume(token)
      return answer
    })

  /** Calls `use` with the client that the ingress authenticated (docs/contract.md §7). */
  const withClient = (request: Request, use: (context: ClientContext) => Answer): Answer => {
    const subject = headerOf(request, 'client-certificate-subject')
    const context = contextOfSubject(kind, central, (attribute) => attributeIn(subject, attribute))
    return context === undefined ? errorAnswer(400, 'Invalid certificate subject') : use(context)
  }

  const managementInfo = (request: Request): Answer =>
    withClient(request, (context) => {
      const answer = {
        clientIdentity: clientIdentity(context),
        urls: {
          ...appUrls(context, addresses),
          renewCertUrl: addresses.gatewayUrl + paths.renewals,
          revokeCertUrl: addresses.gatewayUrl + paths.revocations,
        },
        certificate: certificateInfo(context),
      }
      return jsonAnswer(200, marshal(answer))
    })

  const renew = (request: Request): Answer =>
    withClient(request, (context) =>
      revocations.has(hashOf(request))
        ? errorAnswer(403, 'Certificate has been revoked.')
        : answerSigningRequest(request.body, context, signer),
    )

  const revoke = (request: Request): Answer =>
    withClient(request, () => {
      revocations.add(hashOf(request))
      return emptyJsonAnswer(201)
    })

  return [
    [paths.info, { method: 'GET', answer: info }],
    [paths.certificates, { method: 'POST', answer: sign }],
    [paths.managementInfo, { method: 'GET', answer: managementInfo }],
    [paths.renewals, { method: 'POST', answer: renew }],
    [paths.revocations, { method: 'POST', answer: revoke }],
  ]
}

function certificateInfo(context: ClientContext): object {
  return { subject: announcedSubject(context), extensions: '', 'key-algorithm': 'rsa2048' }
}

/** A runtime has no events and no metadata. */
function appUrls(context: ClientContext, { gatewayUrl }: Addresses): object {
  if (context.kind === 'runtime') return {}
  return {
    eventsUrl: `${gatewayUrl}/${context.app}/v1/events`,
    metadataUrl: `${gatewayUrl}/${context.app}/v1/metadata/services`,
  }
}

function clientIdentity(context: ClientContext): object {
  const app = context.kind === 'application' ? { application: context.app } : {}
  return { ...app, ...(context.owner && { group: context.owner.group, tenant: context.owner.tenant }) }
}

/** The hash of the client's certificate; '' when the ingress sent none. */
function hashOf(request: Request): string {
  const der = firstPemBlock(unescapePem(headerOf(request, 'client-certificate')))
  return der === undefined ? '' : certificateHash(der)
}

function unescapePem(escaped: string): string {
  try {
    return decodeURIComponent(escaped)
  } catch {
    return ''
  }
}
