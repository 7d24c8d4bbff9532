import {
  asError,
  ClientCertificateRefusedError,
  type ErrorContext,
  errorCodeOf,
  KyconnectError,
  NetworkError,
  type NetworkErrorContext,
  ServerCertificateError,
} from '../errors.js'
import { type Exchange, notHttp } from './exchange.js'
import { brokenConnection } from './retry.js'
import type { Route, Target } from './route.js'
import { UntrustedServer } from './tls.js'

/** Turns what Node and undici throw during an exchange into an error that names the problem, the place and a way out. */
export function translateFailure(error: unknown, route: Route, exchange: Exchange): KyconnectError {
  const { target, signal } = exchange
  if (signal.aborted && signal.reason instanceof KyconnectError) return signal.reason
  if (error instanceof KyconnectError) return error
  const code = errorCodeOf(error)
  // undici's parser errors have a name, and their code is undefined. A body that ends early is a closed socket instead.
  const isMalformed = code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  if (error instanceof Error && (error.name === 'HTTPParserError' || isMalformed))
    return notHttp(target, error.message, error)
  if (code === 'UND_ERR_SOCKET' && error instanceof Error && /^bad (?:response|upgrade)$/.test(error.message))
    return notHttp(target, 'an unexpected upgrade or interim answer', error)
  return networkFailure(exchange.socketError ?? error, route, target, exchange.requestSent)
}

function networkFailure(error: unknown, route: Route, target: Target, requestSent: boolean): KyconnectError {
  const cause = innermost(error)
  const code = errorCodeOf(cause)
  const host = target.url.hostname
  const place = target.address === host ? `${host}:${target.port}` : `${host} (${target.address}:${target.port})`
  const context: NetworkErrorContext = {
    cause: error,
    reason: code === '' ? cause.message : code,
    target: { host, address: target.address, port: target.port },
    requestSent,
  }
  if (cause instanceof UntrustedServer) return serverCertificateError(cause, place, target, context)
  if (/ALERT/.test(code) || /alert number/i.test(cause.message))
    return alertError(code, cause, place, target, route, context)
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
      return new NetworkError(`the name ${host} does not resolve`, {
        ...context,
        hints: [
          `if you know its address, add --resolve '${host}:${target.port}:<address>' (as for curl), or the line "<address> ${host}" to /etc/hosts`,
        ],
      })
    case 'ECONNREFUSED':
      return new NetworkError(`connection refused: nothing listens at ${place}`, {
        ...context,
        hints: portHints(route, target),
      })
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'ERR_SSL_HTTP_REQUEST':
      return new NetworkError(`the server at ${place} does not speak TLS`, {
        ...context,
        hints: portHints(route, target),
      })
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return new NetworkError(`this machine has no route to ${place} (${code})`, {
        ...context,
        hints: ['check the address, the network, and any VPN that it needs'],
      })
    case 'ETIMEDOUT':
      return new NetworkError(`connecting to ${place} failed: the operating system timed out`, {
        ...context,
        hints: ['check the address, and the firewalls in between'],
      })
    default:
      if (brokenConnection.has(code)) return brokenOff(place, route, context)
      return new NetworkError(`the connection to ${place} failed: ${code === '' ? cause.message : code}`, {
        ...context,
        hints: ['run the command again with --verbose to see the exchange'],
      })
  }
}

function brokenOff(place: string, route: Route, context: NetworkErrorContext): NetworkError {
  return new NetworkError(`the connection to ${place} broke before the answer was complete`, {
    ...context,
    hints: [
      'try again',
      route.clientCertificate === null
        ? 'if it happens again, ask the administrator what runs in front of the service'
        : 'if it happens again, check the client certificate: some gateways close the connection like this when they refuse it',
    ],
  })
}

function serverCertificateError(
  { code, message, issuer }: UntrustedServer,
  place: string,
  { proxy }: Target,
  context: ErrorContext,
): ServerCertificateError {
  const certificate = `the certificate of the server at ${place}`
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return new ServerCertificateError(`${certificate} is for another name: ${message}`, {
        ...context,
        hints: ['check the host, --node-port and --resolve: another server may listen there'],
      })
    case 'CERT_HAS_EXPIRED':
      return new ServerCertificateError(`${certificate} has expired`, {
        ...context,
        hints: ["check this machine's clock", 'inform the administrator of the cluster'],
      })
    case 'CERT_NOT_YET_VALID':
      return new ServerCertificateError(`${certificate} is not valid yet`, {
        ...context,
        hints: ["check this machine's clock"],
      })
    default: {
      const by = issuer === '' ? '' : `, "${issuer}"`
      return new ServerCertificateError(`${certificate} is issued by a CA this machine does not trust${by} (${code})`, {
        ...context,
        details: { issuer },
        hints: [
          'ask the administrator for the CA certificate of the cluster, and pass it with --ca-file <pem>',
          'for a CA that all programs on this machine trust, set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS to its PEM file',
          ...(issuer === ''
            ? []
            : [
                `if "${issuer}" names a company or a firewall instead of the cluster, a proxy ${proxy === null ? '' : 'or firewall '}inspects the connection: ask its administrator for an exception`,
              ]),
        ],
      })
    }
  }
}

/** Alerts about the protocol, not about a certificate. */
const protocolAlert =
  /PROTOCOL_VERSION|UNRECOGNIZED_NAME|NO_APPLICATION_PROTOCOL|INTERNAL_ERROR|DECODE_ERROR|RECORD_OVERFLOW/

function alertError(
  code: string,
  cause: Error,
  place: string,
  target: Target,
  route: Route,
  context: ErrorContext,
): KyconnectError {
  const reason = code === '' ? cause.message : code.replace(/^ERR_SSL_/, '')
  if (protocolAlert.test(reason) || route.clientCertificate === null) {
    return new ServerCertificateError(`the server at ${place} refused the TLS connection (${reason})`, {
      ...context,
      hints: portHints(route, target),
    })
  }
  return clientCertificateRefused(`TLS alert ${reason}`, place, context)
}

/** One wording for a refused client certificate, whether by a TLS alert or by NGINX's page (docs/contract.md §7). */
export function clientCertificateRefused(
  how: string,
  place: string,
  context: ErrorContext = {},
): ClientCertificateRefusedError {
  return new ClientCertificateRefusedError(`the gateway at ${place} refused the client certificate (${how})`, {
    ...context,
    hints: [
      'check whether it has expired, is not valid yet, or belongs to another cluster: kyconnect info --offline',
      'pair again with a new token URL: kyconnect pair --force --url -',
    ],
  })
}

function portHints(route: Route, target: Target): string[] {
  if (target.url.hostname !== route.gatewayHost) return ['check the address and port of the URL']
  return [
    route.nodePort === null
      ? 'if the gateway is behind a NodePort (a local cluster), name it: --node-port <port>'
      : `check the NodePort: kubectl -n kyma-system get svc application-connector-ingress-nginx-ingress-controller -o 'jsonpath={.spec.ports[?(@.port==443)].nodePort}'`,
  ]
}

/** Unwraps the cause: Node wraps several connection attempts in an AggregateError, and undici keeps its reasons in `cause`. */
function innermost(error: unknown): Error {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0])
  if (error instanceof UntrustedServer) return error
  if (error instanceof Error && error.cause instanceof Error && errorCodeOf(error.cause) !== '')
    return innermost(error.cause)
  return asError(error)
}
