import { commonNameIn } from '../pki/distinguished-name.js'
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
import { marshal } from '../go/json.js'
import { firstPemBlock } from '../pki/pem.js'
import { certificateHash, type Revocations } from './revocations.js'
import { announcedSubject, answerSigningRequest, type Signer } from './signing.js'
import type { Tokens } from './tokens.js'

/** Where the services are, as their answers tell it: the gateway without its NodePort (contract §0). */
export interface Addresses {
  readonly connectorUrl: string
  readonly gatewayUrl: string
}

export interface ConnectorParts {
  readonly addresses: Addresses
  readonly tokens: Tokens
  readonly revocations: Revocations
  readonly signer: Signer
}

/** The paths of the external API. */
export const CONNECTOR_PATHS = {
  info: '/v1/applications/signingRequests/info',
  certificates: '/v1/applications/certificates',
  managementInfo: '/v1/applications/management/info',
  renewals: '/v1/applications/certificates/renewals',
  revocations: '/v1/applications/certificates/revocations',
} as const

/** The Connector's external API, of which each ingress shows a part (contract §4 to §6, §8). */
export function createExternalConnector(parts: ConnectorParts): Backend {
  const { addresses, tokens, revocations, signer } = parts

  const certificateInfo = (app: string): object => ({
    subject: announcedSubject(app),
    extensions: '',
    'key-algorithm': 'rsa2048',
  })
  const appUrls = (app: string): object => ({
    eventsUrl: `${addresses.gatewayUrl}/${app}/v1/events`,
    metadataUrl: `${addresses.gatewayUrl}/${app}/v1/metadata/services`,
  })

  /** Hands on to `use` with the App of the token in the query. */
  const withToken = (request: Request, use: (app: string, token: string) => Answer): Answer => {
    const token = request.query.get('token') ?? ''
    if (token === '') return errorAnswer(403, 'Token not provided.')
    const app = tokens.appOf(token)
    return app === undefined ? errorAnswer(403, 'Invalid token.') : use(app, token)
  }

  const info = (request: Request): Answer =>
    withToken(request, (app, token) => {
      tokens.consume(token)
      const certificatesUrl = addresses.connectorUrl + CONNECTOR_PATHS.certificates
      const answer = {
        csrUrl: `${certificatesUrl}?token=${tokens.issue(app)}`,
        api: { ...appUrls(app), infoUrl: addresses.gatewayUrl + CONNECTOR_PATHS.managementInfo, certificatesUrl },
        certificate: certificateInfo(app),
      }
      return jsonAnswer(200, marshal(answer))
    })

  const sign = (request: Request): Answer =>
    withToken(request, (app, token) => {
      const answer = answerSigningRequest(request.body, app, signer)
      // Anything but a success leaves the token for another try.
      if (answer.status === 201) tokens.consume(token)
      return answer
    })

  /** Hands on to `use` with the client's App, as the ingress tells it (contract §7). */
  const withIdentity = (request: Request, use: (app: string) => Answer): Answer => {
    const app = commonNameIn(headerOf(request, 'client-certificate-subject'))
    return app === undefined ? errorAnswer(400, 'Invalid certificate subject') : use(app)
  }

  /** The hash of the client's certificate, '' when the ingress sent none. */
  const hashOf = (request: Request): string => {
    const der = firstPemBlock(unescapePem(headerOf(request, 'client-certificate')))
    return der === undefined ? '' : certificateHash(der)
  }

  const managementInfo = (request: Request): Answer =>
    withIdentity(request, (app) => {
      const answer = {
        clientIdentity: { application: app },
        urls: {
          ...appUrls(app),
          renewCertUrl: addresses.gatewayUrl + CONNECTOR_PATHS.renewals,
          revokeCertUrl: addresses.gatewayUrl + CONNECTOR_PATHS.revocations,
        },
        certificate: certificateInfo(app),
      }
      return jsonAnswer(200, marshal(answer))
    })

  const renew = (request: Request): Answer =>
    withIdentity(request, (app) =>
      revocations.has(hashOf(request))
        ? errorAnswer(403, 'Certificate has been revoked.')
        : answerSigningRequest(request.body, app, signer),
    )

  const revoke = (request: Request): Answer =>
    withIdentity(request, () => {
      revocations.add(hashOf(request))
      return emptyJsonAnswer(201)
    })

  const endpoints = new Map<string, { method: string; answer: (request: Request) => Answer }>([
    [CONNECTOR_PATHS.info, { method: 'GET', answer: info }],
    [CONNECTOR_PATHS.certificates, { method: 'POST', answer: sign }],
    [CONNECTOR_PATHS.managementInfo, { method: 'GET', answer: managementInfo }],
    [CONNECTOR_PATHS.renewals, { method: 'POST', answer: renew }],
    [CONNECTOR_PATHS.revocations, { method: 'POST', answer: revoke }],
  ])
  return (request) => {
    const endpoint = endpoints.get(request.path)
    if (endpoint === undefined) return notFound
    return endpoint.method === request.method ? endpoint.answer(request) : methodNotAllowed
  }
}

function unescapePem(escaped: string): string {
  try {
    return decodeURIComponent(escaped)
  } catch {
    return ''
  }
}
