import {
  ClientCertificateRefusedError,
  type ErrorContext,
  errorCodeOf,
  KyconnectError,
  NetworkError,
  ServerCertificateError,
} from '../errors.js'
import type { Route, Target } from './route.js'

/** What OpenSSL, through Node, calls the reasons for not believing a server. */
const serverCertificateCode =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|ERR_TLS_CERT_|CRL_|ERROR_IN_CERT_|ERR_OSSL_X509)/

/** Turns what Node and undici throw while a URL is called into our errors: what happened, to which place, and the way out. */
export function networkFailure(error: unknown, route: Route, target: Target): KyconnectError {
  if (error instanceof KyconnectError) return error
  const cause = innermost(error)
  const code = errorCodeOf(cause)
  const host = target.url.hostname
  const place = target.address === host ? `${host}:${target.port}` : `${host} (${target.address}:${target.port})`
  const context = {
    cause: error,
    reason: code === '' ? cause.message : code,
    target: { host, address: target.address, port: target.port },
  }

  if (serverCertificateCode.test(code)) return serverCertificateError(code, cause, place, context)
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
          `if you know its address, add --resolve '${host}:${target.port}:<address>' (as curl's), or the line "<address> ${host}" to /etc/hosts`,
        ],
      })
    case 'ECONNREFUSED':
      return new NetworkError(`nothing listens at ${place}`, { ...context, hints: [portHint(route, target)] })
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'ERR_SSL_HTTP_REQUEST':
      return new NetworkError(`what listens at ${place} does not speak TLS`, {
        ...context,
        hints: [portHint(route, target)],
      })
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return new NetworkError(`the connection to ${place} was closed before the answer was whole`, {
        ...context,
        hints: [
          route.clientCertificate === null
            ? 'try again; when it happens again, ask the administrator what stands in front of the service'
            : 'try again; some gateways also close the connection like this when they refuse the client certificate',
        ],
      })
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return new NetworkError(`there is no way to ${place} from this machine (${code})`, {
        ...context,
        hints: ['check the address, the network and any VPN it needs'],
      })
    case 'ETIMEDOUT':
      return new NetworkError(`no connection to ${place}: the system gave up waiting`, {
        ...context,
        hints: ['check the address and the firewalls on the way'],
      })
    default:
      return new NetworkError(`the connection to ${place} failed: ${code === '' ? cause.message : code}`, {
        ...context,
        hints: ['run the command again with --verbose to see the exchange'],
      })
  }
}

function serverCertificateError(
  code: string,
  cause: Error,
  place: string,
  context: ErrorContext,
): ServerCertificateError {
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return new ServerCertificateError(`the server at ${place} presents a certificate for another name`, {
        ...context,
        hints: [`something else may listen there: check the host, --node-port and --resolve (${cause.message})`],
      })
    case 'CERT_HAS_EXPIRED':
      return new ServerCertificateError(`the certificate of the server at ${place} has expired`, {
        ...context,
        hints: ['tell the administrator of the cluster', "check this machine's clock too"],
      })
    case 'CERT_NOT_YET_VALID':
      return new ServerCertificateError(`the certificate of the server at ${place} is not valid yet`, {
        ...context,
        hints: ["check this machine's clock"],
      })
    default:
      return new ServerCertificateError(
        `the certificate of the server at ${place} is signed by nobody this machine trusts (${code})`,
        {
          ...context,
          hints: ['ask the administrator for the CA certificate of the cluster and pass it with --ca-file <pem>'],
        },
      )
  }
}

/** Alerts that speak of the protocol, not of a certificate. */
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
      hints: [portHint(route, target)],
    })
  }
  return clientCertificateRefused(`TLS alert ${reason}`, place, context)
}

/** One wording for a refused client certificate, however it showed: a TLS alert or NGINX's page (docs/contract.md §7). */
export function clientCertificateRefused(
  how: string,
  place: string,
  context: ErrorContext = {},
): ClientCertificateRefusedError {
  return new ClientCertificateRefusedError(`the gateway at ${place} refused the client certificate (${how})`, {
    ...context,
    hints: [
      'it may have expired, not be valid yet, or be from another cluster',
      'with a new token URL: kyconnect pair --force --url -',
    ],
  })
}

function portHint(route: Route, target: Target): string {
  if (target.url.hostname !== route.gatewayHost) return 'check the address and port of the URL'
  return route.nodePort === null
    ? 'when the gateway is behind a NodePort (a local cluster), name it: --node-port <port>'
    : `check the NodePort: kubectl -n kyma-system get svc application-connector-ingress-nginx-ingress-controller -o 'jsonpath={.spec.ports[?(@.port==443)].nodePort}'`
}

/** Node wraps several connection attempts in an AggregateError, undici its own reasons in `cause`. */
function innermost(error: unknown): Error {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0])
  if (error instanceof Error && error.cause instanceof Error && errorCodeOf(error.cause) !== '')
    return innermost(error.cause)
  return error instanceof Error ? error : new Error(String(error))
}
