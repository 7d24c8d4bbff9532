import * as tls from 'node:tls'
import { errorCodeOf, NetworkError } from '../errors.js'
import { everyRoot, firstRoots } from './roots.js'
import type { Route, Target } from './route.js'
import { whenUsable } from './socket.js'
import { TlsContexts } from './tls-contexts.js'
import { openTunnel } from './tunnel.js'

/** Failures that may disappear with more roots. */
const unknownIssuer = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
])

/** The server's certificate was not accepted. */
export class UntrustedServer extends Error {
  /** OpenSSL's code for the reason. */
  readonly code: string
  /** The issuer that the certificate names, on one line: it reveals a proxy that inspects TLS. */
  readonly issuer: string

  constructor(code: string, message: string, issuer: string) {
    super(message)
    this.code = code
    this.issuer = issuer
  }
}

/** What worked for a route, or is to be tried first. */
const contextsByRoute = new WeakMap<Route, TlsContexts>()

/**
 * Opens a TLS connection to a target. The given CA's certificates alone are tried first (without a CA, Node's own roots), and every
 * trusted root only when those do not suffice: parsing 144 roots costs more than a handshake, and a deployment with its own CA
 * needs none of them. No request is sent before the server's certificate is accepted, so trying twice is safe. The client certificate
 * may be: Node reports on the server only after the handshake, in which TLS 1.2 sends it, unencrypted, to any server that asks for it.
 * (With TLS 1.3 the connection ends before it leaves.) A certificate is public, and its key signs nothing but that handshake.
 * @throws UntrustedServer, and what the system reports
 */
export async function connectTls(route: Route, target: Target, signal: AbortSignal): Promise<tls.TLSSocket> {
  const contexts = contextsByRoute.get(route) ?? new TlsContexts(route, firstRoots(route.trust))
  contextsByRoute.set(route, contexts)
  try {
    return await handshake(route, target, contexts, signal)
  } catch (error) {
    // Of an https proxy, too: a CA that was given is the cluster's, and seldom the proxy's.
    const reason = error instanceof NetworkError ? error.reason : errorCodeOf(error)
    if (!unknownIssuer.has(reason ?? '')) throw error
    const all = await everyRoot(route.trust)
    if (all === undefined) throw error
    const complete = new TlsContexts(route, all)
    const socket = await handshake(route, target, complete, signal)
    contextsByRoute.set(route, complete)
    return socket
  }
}

async function handshake(
  route: Route,
  target: Target,
  contexts: TlsContexts,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  const tunnel = target.proxy === null ? undefined : await openTunnel(target.proxy, target, contexts.roots, signal)
  const socket = tls.connect({
    ...(tunnel === undefined ? { host: target.address, port: target.port } : { socket: tunnel }),
    secureContext: contexts.of(target),
    servername: target.serverName,
    ALPNProtocols: ['http/1.1'],
    // Checked right after the handshake, by `authorized`: a socket that Node itself destroys has lost the certificate that it saw.
    rejectUnauthorized: false,
    // Checks the expected name even where it is an address and SNI is empty.
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity(target.expectedName, certificate),
  })
  await whenUsable(socket, 'secureConnect', signal)
  if (route.trust.insecure || socket.authorized) return socket
  // Read before the socket is destroyed, because it loses the certificate then.
  const issuer = issuerOf(socket)
  socket.on('error', () => undefined).destroy()
  const { message, code } = authorizationError(socket)
  throw new UntrustedServer(code, message, issuer)
}

/** Node gives the code of OpenSSL's reason, or of a name that does not match, as text. */
function authorizationError(socket: tls.TLSSocket): { code: string; message: string } {
  const given: unknown = socket.authorizationError
  if (given instanceof Error) return { code: errorCodeOf(given), message: given.message }
  const text = typeof given === 'string' ? given : 'CERT_UNTRUSTED'
  return { code: text, message: text }
}

function issuerOf(socket: tls.TLSSocket): string {
  const certificate: unknown = socket.getPeerCertificate()
  const issuer: unknown =
    typeof certificate === 'object' && certificate !== null ? Reflect.get(certificate, 'issuer') : undefined
  if (typeof issuer !== 'object' || issuer === null) return ''
  return Object.entries(issuer)
    .map(([type, value]) => `${type}=${[value].flat().join('+')}`)
    .join(', ')
}
