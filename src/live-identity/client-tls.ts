import * as dns from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { Identity } from '../identity/identity.js'
import { resolveTarget, type Route } from '../transport/route.js'

/** Options for another TLS client, as `tls.connect` and `https.Agent` take them. They hold the private key. */
export interface ClientTls {
  /** PEM: the client certificate, then intermediates. */
  readonly cert: string
  /** PEM, PKCS#8. */
  readonly key: string
  /** PEM: the CA that was stored at pairing. Absent when none was: the client's own roots decide. */
  readonly ca?: string
  /** The name of the gateway, for clients that connect to an address. */
  readonly servername?: string
  /** Applies the stored resolve rules; absent when there are none. Only clients on node:net and node:tls use it. */
  readonly lookup?: LookupFunction
}

export function clientTls({ metadata, material }: Identity, route: Route): ClientTls {
  const { gatewayHost } = metadata
  return {
    cert: material.chain,
    key: material.key,
    ...(route.trust.ca === null ? {} : { ca: route.trust.ca }),
    ...(gatewayHost === null || isIP(gatewayHost) !== 0 ? {} : { servername: gatewayHost }),
    ...(route.resolve.length === 0 ? {} : { lookup: lookupOn(route) }),
  }
}

/** A lookup is not given the port: a rule for a port applies if URLs of this host have that port on the route. */
function lookupOn(route: Route): LookupFunction {
  return (hostname, options, callback) => {
    const { address } = resolveTarget(route, new URL(`https://${hostname}`))
    const family = isIP(address)
    if (address === hostname || family === 0) {
      dns.lookup(hostname, options, callback)
      return
    }
    queueMicrotask(() => {
      if (options.all === true) callback(null, [{ address, family }])
      else callback(null, address, family)
    })
  }
}
