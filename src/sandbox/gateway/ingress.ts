import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { CONNECTOR_PATHS } from '../connector/external-api.js'
import { commonNameIn, toRfc2253 } from '../pki/distinguished-name.js'
import type { Answer, Backend } from '../http/exchange.js'
import type { Front, Route } from '../http/listener.js'
import { defaultBackend, nginxPages } from './nginx-pages.js'
import { toPem } from '../pki/pem.js'

const MIB = 1024 * 1024
/** The default of the ingress, and what the Apps' own rules allow; bytes (contract §7). */
const CONNECTOR_BODY_LIMIT = MIB
const APP_BODY_LIMIT = 5 * MIB

export interface GatewayParts {
  readonly host: string
  /** As they are at the time of a request. */
  readonly apps: () => readonly string[]
  /** The CA of the client certificates. */
  readonly authority: X509Certificate
  readonly now: () => Date
  readonly backend: Backend
}

/**
 * The NGINX ingress of the gateway host (contract §7): refuses what comes without a valid client certificate, what is too large and
 * what asks for another App than its certificate names, and tells the backend whose certificate it was. A real NGINX in front of the
 * same backend answers alike.
 *
 * A client certificate must come straight from the sandbox's CA: it issues no further CAs, so that a longer chain, which the depth of 3
 * would allow, cannot be.
 */
export function createGatewayFront(parts: GatewayParts): Front {
  const { host, apps, authority, now, backend } = parts
  const connectorRules = [CONNECTOR_PATHS.managementInfo, CONNECTOR_PATHS.renewals, CONNECTOR_PATHS.revocations].map(
    (prefix) => ({ prefix, limit: CONNECTOR_BODY_LIMIT, app: undefined }),
  )
  const appRules = (app: string): { prefix: string; limit: number; app: string }[] =>
    ['metadata', 'events'].map((service) => ({ prefix: `/${app}/v1/${service}`, limit: APP_BODY_LIMIT, app }))
  return (head, socket) => {
    // Another name is another server to NGINX, and nothing is behind it.
    if (head.host !== host) return defaultBackend
    const identity = identityOf(socket, authority, now())
    if ('status' in identity) return identity
    const rule = [...connectorRules, ...apps().flatMap(appRules)].find(({ prefix }) => head.path.startsWith(prefix))
    const limit = rule?.limit ?? CONNECTOR_BODY_LIMIT
    if (Number(head.headers['content-length'] ?? 0) > limit) return nginxPages.tooLarge
    if (rule === undefined) return defaultBackend
    if (rule.app !== undefined && commonNameIn(identity.subject) !== rule.app) return nginxPages.forbidden
    return routeTo(backend, limit, identity)
  }
}

/** What is spoken to the gateway without TLS (contract §7). */
export const plainHttpFront: Front = () => ({
  ...nginxPages.plainHttp,
  headers: { ...nginxPages.plainHttp.headers, connection: 'close' },
})

interface Identity {
  /** RFC 2253. */
  readonly subject: string
  /** PEM, percent-encoded. */
  readonly certificate: string
}

/** Whose certificate verified, or the page for none or a bad one. */
function identityOf(socket: Socket, authority: X509Certificate, now: Date): Identity | Answer {
  // Under HTTP/2 the socket is a stand-in that passes for a TLSSocket here, too.
  if (!(socket instanceof TLSSocket)) return nginxPages.noCertificate
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return nginxPages.noCertificate
  const inTime = new Date(certificate.validFrom) <= now && now <= new Date(certificate.validTo)
  if (!inTime || !certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    return nginxPages.certificateError
  }
  return {
    subject: toRfc2253(certificate.subject),
    certificate: encodeURIComponent(toPem('CERTIFICATE', certificate.raw)),
  }
}

function routeTo(backend: Backend, bodyLimit: number, identity: Identity): Route {
  return {
    bodyLimit,
    tooLarge: nginxPages.tooLarge,
    backend,
    headers: { 'client-certificate-subject': identity.subject, 'client-certificate': identity.certificate },
  }
}
