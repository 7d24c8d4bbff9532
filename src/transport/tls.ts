import { readFile } from 'node:fs/promises'
import * as tls from 'node:tls'
import { errorCodeOf } from '../errors.js'
import type { Route, Target } from './route.js'

/** Failures that other roots may mend. */
const unknownIssuer = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
])

/**
 * Opens a TLS connection to a target. The CA file's certificates alone are tried first (else Node's own roots), and
 * everything that is trusted only when those do not suffice: parsing 144 roots costs more than a handshake, and a deployment
 * with its own CA needs none of them. Nothing is sent before a certificate was accepted, so trying twice is safe.
 */
export async function connectTls(route: Route, target: Target, signal: AbortSignal): Promise<tls.TLSSocket> {
  try {
    return await handshake(route, target, route.trust.ca === null ? undefined : [route.trust.ca], signal)
  } catch (error) {
    if (!unknownIssuer.has(errorCodeOf(error))) throw error
    const all = await everyRoot(route)
    if (all === undefined) throw error
    return handshake(route, target, all, signal)
  }
}

async function everyRoot({ trust }: Route): Promise<string[] | undefined> {
  const files = await Promise.all(trust.rootFiles.map((file) => readFile(file, 'utf8').catch(() => '')))
  const more = [...files.filter((pem) => pem.includes('BEGIN CERTIFICATE')), ...systemRoots()]
  if (trust.ca === null && more.length === 0) return undefined
  return [...tls.rootCertificates, ...more, ...(trust.ca === null ? [] : [trust.ca])]
}

/** Offered by the runtime from Node 22.15 on. */
function systemRoots(): string[] {
  const offered: unknown = Reflect.get(tls, 'getCACertificates')
  if (!isCertificateList(offered)) return []
  const found = offered('system')
  return Array.isArray(found) ? found.filter((pem): pem is string => typeof pem === 'string') : []
}

function isCertificateList(value: unknown): value is (kind: 'system') => unknown {
  return typeof value === 'function'
}

function handshake(
  route: Route,
  target: Target,
  ca: string[] | undefined,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  const { clientCertificate, gatewayHost, trust } = route
  const host = target.url.hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: target.address,
      port: target.port,
      servername: target.serverName,
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      rejectUnauthorized: !trust.insecure,
      // The name of the URL counts, also where it is an address and SNI is empty.
      checkServerIdentity: (_, certificate) => tls.checkServerIdentity(host, certificate),
      ...(ca === undefined ? {} : { ca }),
      ...(clientCertificate !== null && host === gatewayHost
        ? { cert: clientCertificate.chain, key: clientCertificate.key }
        : {}),
    })
    const abort = (): void => {
      socket.destroy()
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    }
    const settle = (): void => {
      signal.removeEventListener('abort', abort)
      socket.removeListener('error', fail)
    }
    const fail = (error: Error): void => {
      settle()
      reject(error)
    }
    signal.addEventListener('abort', abort, { once: true })
    socket.once('error', fail)
    socket.once('secureConnect', () => {
      settle()
      resolve(socket)
    })
    if (signal.aborted) abort()
  })
}
