import * as net from 'node:net'
import * as tls from 'node:tls'
import { asError, errorCodeOf, NetworkError } from '../errors.js'
import { stripControl } from '../redaction.js'
import { proxyAuthorization, proxyPort, showProxy } from './proxy.js'
import { type Target, withoutBrackets } from './route.js'
import { whenUsable } from './socket.js'

/** Bytes of a proxy's answer to CONNECT. */
const maxHeadBytes = 16 * 1024

/**
 * Opens a tunnel to a target through a proxy, with CONNECT (RFC 9110, section 9.3.6). The caller's TLS connection runs through
 * it to the target: the proxy sees the target's name and port, but not the exchange.
 * @param roots the roots for an https proxy, PEM; undefined: Node's own
 * @throws NetworkError that names the proxy
 */
export async function openTunnel(
  proxy: URL,
  { address, port, url }: Target,
  roots: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<net.Socket> {
  const socket = await connectProxy(proxy, roots, signal)
  const authority = `${net.isIP(address) === 6 ? `[${address}]` : address}:${port}`
  const authorization = proxyAuthorization(proxy)
  socket.write(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`}\r\n`,
  )
  const head = await readHead(proxy, socket, signal)
  const [, status] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(head) ?? []
  if (status?.startsWith('2') === true) return socket
  socket.destroy()
  throw tunnelRefused(proxy, `${url.hostname}:${port}`, status, head)
}

async function connectProxy(
  proxy: URL,
  roots: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<net.Socket> {
  const host = withoutBrackets(proxy.hostname)
  const port = proxyPort(proxy)
  const secure = proxy.protocol === 'https:'
  const socket = secure
    ? tls.connect({
        host,
        port,
        servername: net.isIP(host) === 0 ? host : '',
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
        ALPNProtocols: ['http/1.1'],
        ...(roots === undefined ? {} : { ca: [...roots] }),
      })
    : net.connect({ host, port })
  try {
    await whenUsable(socket, secure ? 'secureConnect' : 'connect', signal)
    return socket
  } catch (error) {
    signal.throwIfAborted()
    throw unreachable(proxy, asError(error))
  }
}

/** Reads up to the blank line, and puts the bytes after it back into the socket. */
function readHead(proxy: URL, socket: net.Socket, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0)
    const settle = (): void => {
      signal.removeEventListener('abort', abort)
      socket.removeListener('data', take).removeListener('error', fail).removeListener('end', end)
    }
    const stop = (error: Error): void => {
      settle()
      socket.on('error', () => undefined).destroy()
      reject(error)
    }
    const abort = (): void => {
      stop(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    }
    const fail = (error: Error): void => {
      stop(unreachable(proxy, error))
    }
    const end = (): void => {
      stop(brokenOff(proxy))
    }
    const take = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk])
      const length = head.indexOf('\r\n\r\n')
      if (length >= 0) {
        settle()
        socket.pause()
        const rest = head.subarray(length + 4)
        if (rest.length > 0) socket.unshift(rest)
        resolve(head.toString('latin1', 0, length))
      } else if (head.length > maxHeadBytes) stop(brokenOff(proxy))
    }
    signal.addEventListener('abort', abort, { once: true })
    socket.on('data', take).once('error', fail).once('end', end)
    if (signal.aborted) abort()
  })
}

/** By the code of the failure. */
const unreachableReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'it closed the connection',
  EHOSTUNREACH: 'this machine has no route to it',
  ENETUNREACH: 'this machine has no route to it',
  ENOTFOUND: 'its name does not resolve',
  EAI_AGAIN: 'its name does not resolve',
  ETIMEDOUT: 'the operating system timed out',
}

function unreachable(proxy: URL, error: Error): NetworkError {
  const code = errorCodeOf(error)
  const reason = code === '' ? error.message : code
  return new NetworkError(`the proxy ${showProxy(proxy)} cannot be reached: ${unreachableReasons[code] ?? reason}`, {
    cause: error,
    reason,
    target: proxyTarget(proxy),
    requestSent: false,
    hints: proxyHints,
  })
}

function brokenOff(proxy: URL): NetworkError {
  return new NetworkError(`the proxy ${showProxy(proxy)} did not answer CONNECT with valid HTTP`, {
    reason: 'PROXY_ANSWER',
    target: proxyTarget(proxy),
    requestSent: false,
    hints: proxyHints,
  })
}

function tunnelRefused(proxy: URL, authority: string, status: string | undefined, head: string): NetworkError {
  if (status === undefined) return brokenOff(proxy)
  const context = {
    reason: `PROXY_${status}`,
    target: proxyTarget(proxy),
    requestSent: false,
    details: { proxy: showProxy(proxy), status: Number(status) },
  }
  // tinyproxy answers wrong credentials with 401.
  if (status === '407' || status === '401') {
    const given = proxyAuthorization(proxy) !== undefined
    return new NetworkError(
      `the proxy ${showProxy(proxy)} ${given ? 'refused the credentials' : 'requires credentials'} (${status})`,
      {
        ...context,
        hints: ['put user and password into the URL of the proxy: http://<user>:<password>@<host>:<port>'],
      },
    )
  }
  const line = stripControl(head.split('\r\n', 1)[0] ?? '').slice(0, 200)
  return new NetworkError(`the proxy ${showProxy(proxy)} did not connect to ${authority}: ${line}`, {
    ...context,
    hints: ['ask the administrator of the proxy to allow this host and port', ...proxyHints],
  })
}

const proxyHints = [
  'check the proxy in --proxy, HTTPS_PROXY or the stored identity',
  'for a host that is reached without a proxy, add its name to NO_PROXY; --proxy none uses no proxy at all',
]

function proxyTarget(proxy: URL): { host: string; address: string; port: number } {
  const host = withoutBrackets(proxy.hostname)
  return { host, address: host, port: proxyPort(proxy) }
}
