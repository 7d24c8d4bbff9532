import * as tls from 'node:tls'
import { type Route, type Target, withoutBrackets } from './route.js'

/**
 * The certificates that connections of a route present and trust. They are parsed once for all of them: that takes 1.5 ms, as much CPU as the
 * rest of a handshake, and 30 ms with every root.
 */
export class TlsContexts {
  /** PEM; undefined: Node's own. */
  readonly roots: readonly string[] | undefined
  readonly #route: Route
  #withCertificate: tls.SecureContext | undefined
  #withoutCertificate: tls.SecureContext | undefined
  /** TLS sessions by the server they are with: see `serverOf`. */
  readonly #sessions = new Map<string, Buffer>()

  constructor(route: Route, roots: readonly string[] | undefined) {
    this.#route = route
    this.roots = roots
  }

  /** The context for a target: with the client certificate where that is presented. */
  of({ url }: Target): tls.SecureContext {
    const { clientCertificate, certificateHosts } = this.#route
    if (clientCertificate !== null && certificateHosts.map(withoutBrackets).includes(withoutBrackets(url.hostname)))
      return (this.#withCertificate ??= this.#create({ cert: clientCertificate.chain, key: clientCertificate.key }))
    return (this.#withoutCertificate ??= this.#create({}))
  }

  /** The session to resume with a server: that saves both sides the signatures of a handshake. undefined: none is known. */
  sessionFor(target: Target): Buffer | undefined {
    return this.#sessions.get(serverOf(target))
  }

  /** Only for a server whose certificate was accepted: Node does not check its names again when the session is resumed. */
  keepSession(target: Target, session: Buffer): void {
    this.#sessions.set(serverOf(target), session)
  }

  forgetSession(target: Target): void {
    this.#sessions.delete(serverOf(target))
  }

  #create(certificate: { readonly cert?: string; readonly key?: string }): tls.SecureContext {
    return tls.createSecureContext({
      ...certificate,
      minVersion: 'TLSv1.2',
      ...(this.roots === undefined ? {} : { ca: [...this.roots] }),
    })
  }
}

function serverOf({ address, port, expectedName, proxy }: Target): string {
  return [address, port, expectedName, proxy?.href].join(' ')
}
