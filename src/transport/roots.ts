import { readFile } from 'node:fs/promises'
import * as tls from 'node:tls'
import type { Trust } from './route.js'

/** Where Linux distributions and BSDs keep their bundle of trusted roots; Go's crypto/x509 looks in the same places. */
export const usualRootFiles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/usr/local/etc/ssl/cert.pem',
  '/usr/local/share/certs/ca-root-nss.crt',
] as const

/** The roots to try first: those of the given CA alone, which is nearly always enough; undefined: Node's own. */
export function firstRoots({ ca }: Trust): string[] | undefined {
  return ca === null ? undefined : [ca]
}

/** All trusted roots; undefined when there are no more than the first ones. */
export async function everyRoot({ ca, caOnly, rootFiles, systemRootFiles }: Trust): Promise<string[] | undefined> {
  if (caOnly) return undefined
  const files = await Promise.all(rootFiles.map(readBundle))
  const more = [...files.filter((pem) => pem !== ''), ...(systemRoots() ?? (await readFirst(systemRootFiles)))]
  if (ca === null && more.length === 0) return undefined
  return [...tls.rootCertificates, ...more, ...(ca === null ? [] : [ca])]
}

/** The roots of the system's own store, from Node 22.15 on; undefined before. */
function systemRoots(): string[] | undefined {
  const offered: unknown = Reflect.get(tls, 'getCACertificates')
  if (!isCertificateList(offered)) return undefined
  const found = offered('system')
  return Array.isArray(found) ? found.filter((pem): pem is string => typeof pem === 'string') : undefined
}

function isCertificateList(value: unknown): value is (kind: 'system') => unknown {
  return typeof value === 'function'
}

async function readFirst(paths: readonly string[]): Promise<string[]> {
  for (const path of paths) {
    const pem = await readBundle(path)
    if (pem !== '') return [pem]
  }
  return []
}

/** The text of a PEM file; empty when it cannot be read or contains no certificate. */
async function readBundle(path: string): Promise<string> {
  const pem = await readFile(path, 'utf8').catch(() => '')
  return pem.includes('BEGIN CERTIFICATE') ? pem : ''
}
