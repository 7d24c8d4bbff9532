import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { CONNECTOR_PATHS, kindsOfClients } from '../connector/paths.js'
import { cleanPath, decodePath } from '../go/clean-path.js'
import type { Backend } from '../http/exchange.js'
import type { Front } from '../http/listener.js'
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
  /** Whether an App of this name exists at the time of a request. */
  readonly hasApp: (name: string) => boolean
  /** The CA of the client certificates. */
  readonly authority: X509Certificate
  readonly now: () => Date
  readonly backend: Backend
}

/** The clean paths that have the rules of an App. */
const APP_PATH = /^\/([^/]+)\/v1\/(?:metadata|events)/

interface Rule {
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
export function createIngress({ host, central, hasApp, authority, now, backend }: IngressParts): Front {
  const connectorRules = kindsOfClients(central)
    .flatMap((kind) => {
      const { managementInfo, renewals, revocations } = CONNECTOR_PATHS[kind]
      return [managementInfo, renewals, revocations]
    })
    .map((prefix) => ({ prefix, maxBodyBytes: MAX_CONNECTOR_BODY_BYTES }))
  const ruleFor = (path: string): Rule | undefined => {
    const connectorRule = connectorRules.find(({ prefix }) => path.startsWith(prefix))
    if (connectorRule !== undefined) return connectorRule
    const [, app = ''] = APP_PATH.exec(path) ?? []
    return hasApp(app) ? { maxBodyBytes: MAX_APP_BODY_BYTES, app } : undefined
  }
  // Reading and verifying a certificate costs more than an event does, and a connection has one certificate for its whole life.
  const clients = new WeakMap<Socket, Client | 'foreign'>()
  const clientOf = (socket: Socket): Client | 'foreign' | undefined => {
    const known = clients.get(socket)
    if (known !== undefined) return known
    const client = readClient(socket, authority)
    if (client !== undefined) clients.set(socket, client)
    return client
  }

  return (head, socket) => {
    // NGINX takes another name for another server, and that one has no rules.
    if (head.host !== host) return defaultBackend
    const client = clientOf(socket)
    if (client === undefined) return nginxPages.noCertificate
    const nowMs = now().getTime()
    if (client === 'foreign' || nowMs < client.validFromMs || client.validToMs < nowMs)
      return nginxPages.certificateError
    // NGINX looks for a rule by the clean path and passes on the one that was sent.
    const path = cleanPath(decodePath(head.path) ?? head.path)
    const rule = ruleFor(path)
    const maxBodyBytes = rule?.maxBodyBytes ?? MAX_CONNECTOR_BODY_BYTES
    if (Number(head.headers['content-length'] ?? 0) > maxBodyBytes) return nginxPages.tooLarge
    if (rule === undefined) return defaultBackend
    if (rule.app !== undefined && client.commonName !== rule.app) return nginxPages.forbidden
    return { maxBodyBytes, tooLarge: nginxPages.tooLarge, backend, headers: client.headers }
  }
}

/** The answer to plain HTTP on the gateway's port (docs/contract.md §7). */
export const plainHttpFront: Front = () => ({
  ...nginxPages.plainHttp,
  headers: { ...nginxPages.plainHttp.headers, connection: 'close' },
})

/** A client whose certificate the authority signed. */
interface Client {
  readonly validFromMs: number
  readonly validToMs: number
  readonly commonName: string | undefined
  /** The headers by which the services know the client: its subject (RFC 2253) and its certificate (PEM, percent-encoded). */
  readonly headers: Readonly<Record<'client-certificate-subject' | 'client-certificate', string>>
}

/** Reads the client's certificate from a connection: undefined when it sent none, 'foreign' when the authority did not sign it. */
function readClient(socket: Socket, authority: X509Certificate): Client | 'foreign' | undefined {
  // The socket of an HTTP/2 request is a proxy, which is an instance of TLSSocket, too.
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  if (certificate === undefined) return undefined
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) return 'foreign'
  const subject = toSubjectHeader(certificate.subject)
  return {
    validFromMs: Date.parse(certificate.validFrom),
    validToMs: Date.parse(certificate.validTo),
    commonName: attributeIn(subject, 'CN'),
    headers: {
      'client-certificate-subject': subject,
      'client-certificate': encodeURIComponent(toPem('CERTIFICATE', certificate.raw)),
    },
  }
}
