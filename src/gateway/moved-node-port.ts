import { NetworkError, TimeoutError } from '../errors.js'
import type { Metadata } from '../identity/identity.js'

/** Failures that another server, or none, at the NodePort explains; a name that does not resolve is not one of them. */
const wrongPort = new Set([
  'ECONNREFUSED',
  'ETIMEDOUT',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
])

/** Adds to the error for a connection to the stored NodePort, which may be another one now, how to store the new one. */
export function explainNodePort(error: unknown, { profile, route }: Metadata): unknown {
  const isLost =
    (error instanceof NetworkError && wrongPort.has(error.reason ?? '')) ||
    (error instanceof TimeoutError && !error.requestSent)
  if (!isLost || route.nodePort === null || error.target?.port !== route.nodePort) return error
  return error.addHint(
    `if the gateway has another NodePort now, store it: kyconnect info --profile ${profile} --save --node-port <port>`,
  )
}
