import type { KeyObject } from 'node:crypto'
import type { DistinguishedName } from '../pki/distinguished-name.js'
import type { ResolveRule } from '../transport/route.js'

/** How the services were reached when the identity was paired; later commands use these values as defaults. */
export interface StoredRoute {
  readonly nodePort: number | null
  readonly resolve: readonly ResolveRule[]
  /** PEM of the given CA file, kept beside the metadata, so that the file itself may be deleted. */
  readonly serverCa: string | null
  /** URL of the HTTP proxy given with --proxy; it may hold credentials. null: the environment decides. */
  readonly proxy: string | null
}

/** URLs by their wire names, as received: without a NodePort. */
export type Urls = Readonly<Record<string, string>>

/** What is known about an identity apart from its key and certificates. */
export interface Metadata {
  readonly profile: string
  /** The App as the user names it; the common name when they did not name it. */
  readonly app: string
  /** CN of the certificate: the App's name, or an opaque id in the Compass generation (docs/contract.md §4). */
  readonly commonName: string
  /** RFC 4514, in the certificate's order. */
  readonly subject: string
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** Fixed at pairing: no URL learned later may name another. null when the Connector named none. */
  readonly gatewayHost: string | null
  /** Other hosts that the user agreed to call with this certificate. */
  readonly acceptedHosts: readonly string[]
  readonly connectorHost: string
  readonly urls: Urls
  readonly route: StoredRoute
  /** Paired without checking the server's certificate. */
  readonly insecure: boolean
  readonly pairedAt: Date
  /** When this machine got the certificate, by its own clock. */
  readonly obtainedAt: Date
  /** When the service was asked to revoke this certificate, or said that it is revoked: it works until it expires, and cannot be renewed. */
  readonly revokedAt: Date | null
  /** When a new certificate was last rejected, by our checks or by the gateway, after the service had signed it for a renewal. */
  readonly rejectedAt: Date | null
  /** Whether the command of `renew --exec` has not run successfully since the last renewal. */
  readonly hookPending: boolean
}

/** What is known without reading the server's CA, which is another file: for a list of all identities, one file less of each. */
export interface MetadataSummary extends Omit<Metadata, 'route'> {
  readonly route: Omit<StoredRoute, 'serverCa'>
}

/** PEM texts, as they are stored. */
export interface Material {
  /** PKCS#8. */
  readonly key: string
  readonly leaf: string
  /** The leaf, then intermediates in TLS order. */
  readonly chain: string
  readonly ca: string
}

/** The identity of one App: key, certificate, endpoints. */
export interface Identity {
  readonly metadata: Metadata
  readonly material: Material
  /** The folder that holds key.pem, for curl and other programs; undefined where the store is not a folder. */
  readonly directory?: string
}

/** A pairing whose CSR has not been answered with a 201 yet. Its csrUrl holds a token; nothing else on disk may hold one. */
export interface Pending {
  readonly profile: string
  readonly csrUrl: URL
  readonly subject: DistinguishedName
  readonly app: string
  readonly commonName: string
  readonly gatewayHost: string | null
  readonly connectorHost: string
  readonly urls: Urls
  readonly route: StoredRoute
  readonly insecure: boolean
  readonly createdAt: Date
  readonly key: KeyObject
}

/** ISO 8601 in UTC, without milliseconds: certificates hold whole seconds. */
export function isoSeconds(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, 'Z')
}

/** Whole days left; negative once the certificate has expired. */
export function daysLeft(notAfter: Date, now: Date): number {
  return Math.floor((notAfter.getTime() - now.getTime()) / 86_400_000)
}
