import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { stringIn, wireTo } from './wire.js'

/** A client certificate with its key, both PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

/** One key pair for all certificates, since the tests tell clients apart by their certificates. Private: PEM; public: DER. */
const keys = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'der' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})
export const clientKey = keys.privateKey
export const clientSpki = keys.publicKey

/** The subject that openssl takes, as the tutorial writes it. */
export const subjectOf = (app: string): string => `/OU=OrgUnit/O=Organization/L=Waldorf/ST=Waldorf/C=DE/CN=${app}`

/** A signing request (PEM) made by openssl. */
export function opensslRequest(subject: string, options: readonly string[] = ['-sha256'], key = clientKey): string {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-csr-'))
  try {
    const keyFile = join(directory, 'client.key')
    writeFileSync(keyFile, key, { mode: 0o600 })
    const args = ['req', '-new', '-utf8', '-key', keyFile, '-subj', subject, ...options]
    return execFileSync('openssl', args, { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'pipe'] })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The body that carries a signing request. */
export function csrBody(pem: string): string {
  return JSON.stringify({ csr: Buffer.from(pem).toString('base64') })
}

/** Pairs an App through the Connector and gives the certificate chain that it signed. */
export async function pair(sandbox: Sandbox, app: string, subject = subjectOf(app)): Promise<Identity> {
  const wire = wireTo(sandbox)
  const token = await wire.newToken(app)
  const reply = await wire.connector(`/v1/applications/certificates?token=${token}`, {
    method: 'POST',
    body: csrBody(opensslRequest(subject)),
  })
  expect(reply.status).toBe(201)
  return { cert: Buffer.from(stringIn(reply.body, 'clientCrt'), 'base64').toString(), key: clientKey }
}

/** SHA-256 of the DER, lower-case hex: how the Connector names a certificate. */
export function hashOf(identity: Identity): string {
  return new X509Certificate(identity.cert).fingerprint256.replaceAll(':', '').toLowerCase()
}
