import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readdir, readFile, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { FolderStore, type FolderStoreDeps } from '../../src/identity/folder-store.js'
import type { Material, Metadata, Pending } from '../../src/identity/identity.js'
import type { RouteChoice } from '../../src/identity/route.js'
import { plainRun } from '../../src/kyconnect.js'
import { keyToPem } from '../../src/pki/key.js'
import { openssl } from './certificates.js'

/** A key and a certificate that belong together, made by openssl. */
export async function makeMaterial(folder: string, name: string): Promise<Material> {
  const [keyFile, certificateFile] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    keyFile,
    '-out',
    certificateFile,
    '-days',
    '9',
    '-subj',
    `/CN=${name}`,
  )
  const [key, leaf] = await Promise.all([readFile(keyFile, 'utf8'), readFile(certificateFile, 'utf8')])
  return { key, leaf, chain: leaf, ca: leaf }
}

export function metadataOf(profile: string, material: Material): Metadata {
  const certificate = new X509Certificate(material.leaf)
  return {
    profile,
    app: 'demo',
    commonName: 'demo',
    subject: 'O=Organization,CN=demo',
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    gatewayHost: 'gateway.kyma.local',
    acceptedHosts: [],
    connectorHost: 'connector-service.kyma.local',
    urls: { infoUrl: 'https://gateway.kyma.local/v1/applications/management/info' },
    route: {
      nodePort: 30443,
      resolve: [{ host: '*.kyma.local', port: null, address: '::1' }],
      serverCa: material.ca,
      proxy: 'http://user:secret@proxy.example:3128/',
    },
    insecure: false,
    pairedAt: new Date('2026-11-24T00:00:00Z'),
    obtainedAt: new Date(0),
    revokedAt: null,
    rejectedAt: null,
    hookPending: false,
  }
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

export function pendingOf(profile: string): Pending {
  return {
    profile,
    csrUrl: new URL('https://connector-service.kyma.local/v1/applications/certificates?token=dG9rZW4tb2YtdGVzdHM=='),
    subject: [[{ type: 'O', value: 'Acme, Inc.' }], [{ type: 'CN', value: 'demo' }]],
    app: 'demo',
    commonName: 'demo',
    gatewayHost: 'gateway.kyma.local',
    connectorHost: 'connector-service.kyma.local',
    urls: {},
    route: { nodePort: null, resolve: [], serverCa: null, proxy: null },
    insecure: false,
    createdAt: new Date('2026-11-24T00:00:00Z'),
    key: createPrivateKey(keyToPem(privateKey)),
  }
}

/** A run without flags and variables. */
export const plainChoice: RouteChoice = {
  ...plainRun.choice,
  environment: { proxy: undefined, noProxy: [], rootFiles: [], systemRootFiles: [] },
}

/** A store as the program makes it, on a home of the test's; what the test wants otherwise is given. */
export function storeAt(home: string, more: Partial<FolderStoreDeps> = {}): FolderStore {
  return new FolderStore({
    home,
    userId: process.geteuid?.(),
    pid: process.pid,
    hostname: 'here',
    pidNamespace: () => Promise.resolve('pid:[1]'),
    processIdentity: (pid) => Promise.resolve(pid === process.pid ? 'us' : undefined),
    now: () => new Date(),
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    makeLink: symlink,
    ...more,
  })
}

/** The kinds and modes of everything below a folder but links, each once. */
export async function modes(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const found = await Promise.all(
    entries
      .filter((entry) => !entry.isSymbolicLink())
      .map(
        async (entry) =>
          `${entry.isDirectory() ? 'folder' : 'file'} ${((await stat(join(entry.parentPath, entry.name))).mode & 0o7777).toString(8)}`,
      ),
  )
  return [...new Set(found)].sort()
}
