import type { ConnectOpts } from 'node:net'
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

/** What only connections for many small requests need. They also resume the TLS session of an earlier one to the same server. */
export interface LaneUse {
  /** Takes the bytes that arrive. They are overwritten after the call. */
  readonly onData: (bytes: Buffer) => void
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
export async function connectTls(
  route: Route,
  target: Target,
  signal: AbortSignal,
  lane?: LaneUse,
): Promise<tls.TLSSocket> {
  const contexts = contextsByRoute.get(route) ?? new TlsContexts(route, firstRoots(route.trust))
  contextsByRoute.set(route, contexts)
  try {
    return await handshake(route, target, contexts, signal, lane)
  } catch (error) {
    // Of an https proxy, too: a CA that was given is the cluster's, and seldom the proxy's.
    const reason = error instanceof NetworkError ? error.reason : errorCodeOf(error)
    if (!unknownIssuer.has(reason ?? '')) throw error
    const all = await everyRoot(route.trust)
    if (all === undefined) throw error
    const complete = new TlsContexts(route, all)
    const socket = await handshake(route, target, complete, signal, lane)
    contextsByRoute.set(route, complete)
    return socket
  }
}

async function handshake(
  route: Route,
  target: Target,
  contexts: TlsContexts,
  signal: AbortSignal,
  lane: LaneUse | undefined,
): Promise<tls.TLSSocket> {
  const tunnel = target.proxy === null ? undefined : await openTunnel(target.proxy, target, contexts.roots, signal)
  const options: tls.ConnectionOptions & ConnectOpts = {
    ...(lane === undefined ? {} : { onread: readInto(lane.onData), session: contexts.sessionFor(target) }),
    ...(tunnel === undefined ? { host: target.address, port: target.port } : { socket: tunnel }),
    secureContext: contexts.of(target),
    servername: target.serverName,
    ALPNProtocols: ['http/1.1'],
    // Checked right after the handshake, by `authorized`: a socket that Node itself destroys has lost the certificate that it saw.
    rejectUnauthorized: false,
    // Checks the expected name even where it is an address and SNI is empty.
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity(target.expectedName, certificate),
  }
  const socket = tls.connect(options)
  // With TLS 1.2 it is reported before the server's certificate has been checked, with TLS 1.3 after that.
  let session: Buffer | undefined
  let isAccepted = false
  if (lane !== undefined) {
    socket.on('session', (reported: Buffer) => {
      session = reported
      if (isAccepted) contexts.keepSession(target, session)
    })
  }
  try {
    await whenUsable(socket, 'secureConnect', signal)
  } catch (error) {
    contexts.forgetSession(target)
    throw error
  }
  if (route.trust.insecure || socket.authorized) {
    isAccepted = true
    if (session !== undefined) contexts.keepSession(target, session)
    if (lane !== undefined) socket.on('data', lane.onData)
    return socket
  }
  // Read before the socket is destroyed, because it loses the certificate then.
  const issuer = issuerOf(socket)
  socket.on('error', () => undefined).destroy()
  const { message, code } = authorizationError(socket)
  throw new UntrustedServer(code, message, issuer)
}

/** After a resumed session has failed: the next connection makes a new one. */
export function forgetSession(route: Route, target: Target): void {
  contextsByRoute.get(route)?.forgetSession(target)
}

/** The largest part of a stream that TLS encrypts as one (RFC 8446, section 5.1). */
const maxRecordBytes = 16 * 1024

/** Has Node read into one buffer, instead of a new one for each record. On a tunnel it does not, and emits `data`. */
function readInto(onData: (bytes: Buffer) => void): ConnectOpts['onread'] {
  const buffer = Buffer.allocUnsafeSlow(maxRecordBytes)
  return {
    buffer,
    callback: (length) => {
      onData(buffer.subarray(0, length))
      return true
    },
  }
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
