import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { CONNECTOR_PATHS, kindsOfClients } from '../connector/paths.js'
import { cleanPath, decodePath } from '../go/clean-path.js'
import type { Answer, Backend } from '../http/exchange.js'
import type { Front, Route } from '../http/listener.js'
import { attributeIn, toSubjectHeader } from '../http/subject-header.js'
import { toPem } from '../pki/pem.js'
import { defaultBackend, nginxPages } from './nginx-pages.js'

const MIB = 1024 * 1024
/** NGINX's default, and the limit that the rules of the Apps set (docs/contract.md §7). */
const MAX_CONNECTOR_BODY_BYTES = MIB
const MAX_APP_BODY_BYTES = 5 * MIB

export interface IngressParts {
  readonly host: string
  readonly central: boolean
  /** The Apps at the time of a request. */
  readonly apps: () => readonly string[]
  /** The CA of the client certificates. */
  readonly authority: X509Certificate
  readonly now: () => Date
  readonly backend: Backend
}

interface Rule {
  readonly prefix: string
  readonly maxBodyBytes: number
  /** The App that the certificate must name. */
  readonly app?: string
}

/**
 * The NGINX ingress of the gateway host (docs/contract.md §7). It refuses requests without a valid client certificate, with too large a
 * body, or for another App than the certificate's, and passes the certificate on to the backend. The tests put a real NGINX before the
 * same backend and expect the same answers.
 *
 * The sandbox's CA issues no intermediate CAs, so a client certificate must be issued by it directly; the ingress would follow chains to
 * depth 3.
 */
export function createIngress({ host, central, apps, authority, now, backend }: IngressParts): Front {
  const connectorRules = kindsOfClients(central)
    .flatMap((kind) => {
      const { managementInfo, renewals, revocations } = CONNECTOR_PATHS[kind]
      return [managementInfo, renewals, revocations]
    })
    .map((prefix): Rule => ({ prefix, maxBodyBytes: MAX_CONNECTOR_BODY_BYTES }))
  const appRules = (app: string): Rule[] =>
    ['metadata', 'events'].map((service) => ({
      prefix: `/${app}/v1/${service}`,
      maxBodyBytes: MAX_APP_BODY_BYTES,
      app,
    }))

  return (head, socket) => {
    // NGINX takes another name for another server, and that one has no rules.
    if (head.host !== host) return defaultBackend
    const identity = identityOf(socket, authority, now())
    if ('status' in identity) return identity
    // NGINX looks for a rule by the clean path and passes on the one that was sent.
    const path = cleanPath(decodePath(head.path) ?? head.path)
    const rules = [...connectorRules, ...apps().flatMap(appRules)]
    const rule = rules.find(({ prefix }) => path.startsWith(prefix))
    const maxBodyBytes = rule?.maxBodyBytes ?? MAX_CONNECTOR_BODY_BYTES
    if (Number(head.headers['content-length'] ?? 0) > maxBodyBytes) return nginxPages.tooLarge
    if (rule === undefined) return defaultBackend
    if (rule.app !== undefined && attributeIn(identity.subject, 'CN') !== rule.app) return nginxPages.forbidden
    return routeTo(backend, maxBodyBytes, identity)
  }
}

/** The answer to plain HTTP on the gateway's port (docs/contract.md §7). */
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

/** The identity of a valid client certificate, or the page for a missing or an invalid one. */
function identityOf(socket: Socket, authority: X509Certificate, now: Date): Identity | Answer {
  // The socket of an HTTP/2 request is a proxy, which is an instance of TLSSocket, too.
  if (!(socket instanceof TLSSocket)) return nginxPages.noCertificate
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return nginxPages.noCertificate
  const isInDate = new Date(certificate.validFrom) <= now && now <= new Date(certificate.validTo)
  if (!isInDate || !certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    return nginxPages.certificateError
  }
  return {
    subject: toSubjectHeader(certificate.subject),
    certificate: encodeURIComponent(toPem('CERTIFICATE', certificate.raw)),
  }
}

function routeTo(backend: Backend, maxBodyBytes: number, identity: Identity): Route {
  return {
    maxBodyBytes,
    tooLarge: nginxPages.tooLarge,
    backend,
    headers: { 'client-certificate-subject': identity.subject, 'client-certificate': identity.certificate },
  }
}
