import type { KeyObject } from 'node:crypto'
import type { DistinguishedName } from '../pki/distinguished-name.js'
import type { ResolveRule } from '../transport/route.js'

/** The layout this program writes. A newer one is refused, an older one read. */
export const formatVersion = 1

/** How the services were reached when the identity was paired; later commands take these as defaults. */
export interface StoredRoute {
  readonly nodePort: number | null
  readonly resolve: readonly ResolveRule[]
  /** PEM of the CA file given; kept beside the metadata, so that the file itself may go. */
  readonly serverCa: string | null
}

/** URLs by their wire names, as received: no NodePort in them. */
export type Urls = Readonly<Record<string, string>>

/** What is known of an identity beside its key and certificates. */
export interface Metadata {
  readonly profile: string
  /** The App, as the user names it; the common name where they did not. */
  readonly app: string
  /** CN of the certificate: the App's name, or in the Compass generation an id. */
  readonly commonName: string
  /** RFC 4514, in the certificate's order. */
  readonly subject: string
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** Fixed at pairing: no learned URL may name another. */
  readonly gatewayHost: string
  /** Other hosts that the user agreed to call with this certificate. */
  readonly acceptedHosts: readonly string[]
  readonly connectorHost: string
  readonly urls: Urls
  readonly route: StoredRoute
  /** Paired with the server's certificate unchecked. */
  readonly insecure: boolean
  readonly pairedAt: Date
}

/** PEM texts, as they lie in the folder. */
export interface Material {
  /** PKCS#8. */
  readonly key: string
  readonly leaf: string
  /** Leaf, then intermediates in TLS order. */
  readonly chain: string
  readonly ca: string
}

/** The identity of one App: key, certificate, endpoints. */
export interface Identity {
  readonly metadata: Metadata
  readonly material: Material
  /** The folder that holds key.pem, for curl and others. */
  readonly directory: string
}

/** A pairing whose CSR was not answered with a 201 yet. Its csrUrl holds a token: this is the one thing on disk that may. */
export interface Pending {
  readonly profile: string
  readonly csrUrl: URL
  readonly subject: DistinguishedName
  readonly app: string
  readonly commonName: string
  readonly gatewayHost: string
  readonly connectorHost: string
  readonly urls: Urls
  readonly route: StoredRoute
  readonly insecure: boolean
  readonly createdAt: Date
  readonly key: KeyObject
}

/** Whole days that are left; negative once it has expired. */
export function daysLeft(notAfter: Date, now: Date): number {
  return Math.floor((notAfter.getTime() - now.getTime()) / 86_400_000)
}
