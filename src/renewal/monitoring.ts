import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorCodeOf, NetworkError } from '../errors.js'

/** Where to listen. */
export interface ListenAddress {
  /** An IP address. */
  readonly address: string
  /** 0: any free one. */
  readonly port: number
}

/** What the pages show; called for each request, so it must be cheap. */
export interface Pages {
  /** Empty when all is well. */
  readonly problems: () => readonly string[]
  /** Prometheus' text format. */
  readonly metrics: () => string
}

const maxConnections = 32
const maxHeaderBytes = 8 * 1024
/** Milliseconds for a whole request, and for a connection without one. */
const requestTimeoutMs = 5000
/** Milliseconds until a connection that does not read its answer is ended. */
const answerTimeoutMs = 10_000
/** Milliseconds between two checks of these limits. */
const checkEveryMs = 1000

/**
 * Serves GET and HEAD of `/healthz` (200 "ok", or 503 with a line for each problem) and `/metrics`. It reads nothing of a request but method and
 * path, and ends every connection after one answer. The pages hold no secret, but they name Apps and dates.
 * @throws NetworkError when the port cannot be opened
 */
export async function serveMonitoring(
  { address, port }: ListenAddress,
  pages: Pages,
): Promise<{ readonly url: string; readonly close: () => void }> {
  const { createServer } = await import('node:http')
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: checkEveryMs,
      insecureHTTPParser: false,
    },
    ({ method, url = '' }, response) => {
      answer(method, url.replace(/\?.*/s, ''), response, pages)
    },
  )
  server.maxConnections = maxConnections
  server.setTimeout(answerTimeoutMs)
  const bound = await listen(server, address, port)
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address
  return {
    url: `http://${host}:${bound.port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

function answer(method: string | undefined, path: string, response: ServerResponse, pages: Pages): void {
  const page = path === '/healthz' ? healthPage : path === '/metrics' ? metricsPage : undefined
  const { status, text, headers } =
    page === undefined ? missingPage : method === 'GET' || method === 'HEAD' ? page(pages) : wrongMethodPage
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
    ...headers,
  })
  // Node.js leaves the body out of the answer to HEAD.
  response.end(text)
}

interface Page {
  readonly status: number
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

const missingPage: Page = { status: 404, text: 'not found: see /healthz and /metrics\n' }
const wrongMethodPage: Page = { status: 405, text: 'only GET and HEAD are allowed\n', headers: { allow: 'GET, HEAD' } }

function healthPage({ problems }: Pages): Page {
  const found = problems()
  return found.length === 0
    ? { status: 200, text: 'ok\n' }
    : { status: 503, text: found.map((problem) => `${problem}\n`).join('') }
}

function metricsPage({ metrics }: Pages): Page {
  return { status: 200, text: metrics(), headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } }
}

function listen(server: Server, address: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const code = errorCodeOf(cause)
      const reason =
        code === 'EADDRINUSE'
          ? 'already in use'
          : code === 'EACCES'
            ? 'permission denied'
            : code === 'EADDRNOTAVAIL'
              ? 'not an address of this machine'
              : cause.message
      reject(
        new NetworkError(`port ${port} of ${address} cannot be opened: ${reason}`, {
          cause,
          reason: code,
          requestSent: false,
          hints: ['choose another one with --listen <address:port>'],
        }),
      )
    })
    server.listen({ host: address, port }, () => {
      const bound = server.address()
      if (typeof bound === 'object' && bound !== null) resolve(bound)
    })
  })
}
