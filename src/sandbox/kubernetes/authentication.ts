import { createHash, timingSafeEqual, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { RequestHead } from '../http/listener.js'
import { CLIENT_AUTH } from '../pki/certificate.js'

/** The names under which a cluster's API server is known to its pods, beside localhost. */
export const API_SERVER_NAMES = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
]

/** The user that the API names in its messages. */
export const CLUSTER_USER = 'sandbox'

/** Accepts a client certificate of the cluster's CA, or the bearer token. */
export function createAuthentication(
  token: string,
  authority: X509Certificate,
  now: () => Date,
): (head: RequestHead, socket: Socket | TLSSocket) => boolean {
  const expected = hashOf(`Bearer ${token}`)
  return ({ headers }, socket) =>
    hasValidCertificate(socket, authority, now()) || timingSafeEqual(hashOf(headers.authorization ?? ''), expected)
}

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/** The CA also signs the server certificates, which must not serve as credentials: the certificate must be one for clients. */
function hasValidCertificate(socket: Socket, authority: X509Certificate, now: Date): boolean {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  return (
    certificate !== undefined &&
    new Date(certificate.validFrom) <= now &&
    now <= new Date(certificate.validTo) &&
    certificate.keyUsage.includes(CLIENT_AUTH) &&
    certificate.checkIssued(authority) &&
    certificate.verify(authority.publicKey)
  )
}
