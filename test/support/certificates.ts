import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs openssl, quietly. @returns what it printed */
export async function openssl(...args: readonly string[]): Promise<string> {
  const { stdout } = await execute('openssl', [...args], { timeout: 20_000 })
  return stdout
}

/** A folder below the system's temporary one, and how to remove it. */
export async function temporaryFolder(name: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `kyconnect-${name}-`))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** A certificate authority of openssl's making. */
export interface Authority {
  readonly certificateFile: string
  readonly keyFile: string
}

/** A server's certificate and key, PEM. */
export interface ServerCertificate {
  readonly cert: string
  readonly key: string
  readonly certificateFile: string
  readonly keyFile: string
}

export async function makeAuthority(folder: string, name: string, algorithm: 'ec' | 'rsa'): Promise<Authority> {
  const [certificateFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const key = algorithm === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048']
  await openssl(
    'req',
    '-x509',
    '-newkey',
    ...key,
    '-nodes',
    '-keyout',
    keyFile,
    '-out',
    certificateFile,
    '-days',
    '30',
    '-subj',
    `/O=Test/CN=${name}`,
  )
  return { certificateFile, keyFile }
}

export async function makeServerCertificate(
  folder: string,
  authority: Authority,
  names: readonly string[],
  dates: readonly string[] = ['-days', '30'],
): Promise<ServerCertificate> {
  const stem = join(folder, `server-${names[0] ?? 'none'}-${Math.random().toString(36).slice(2)}`)
  const [keyFile, csrFile, certificateFile, extensions] = [`${stem}.key`, `${stem}.csr`, `${stem}.crt`, `${stem}.ext`]
  await writeFile(extensions, `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`)
  await openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    keyFile,
    '-out',
    csrFile,
    '-subj',
    `/CN=${names[0] ?? 'none'}`,
  )
  await openssl(
    'x509',
    '-req',
    '-in',
    csrFile,
    '-CA',
    authority.certificateFile,
    '-CAkey',
    authority.keyFile,
    '-CAcreateserial',
    '-extfile',
    extensions,
    ...dates,
    '-out',
    certificateFile,
  )
  const [cert, key] = await Promise.all([readFile(certificateFile, 'utf8'), readFile(keyFile, 'utf8')])
  return { cert, key, certificateFile, keyFile }
}

/** Signs a CSR as a Connector does: serial number 2. @returns PEM */
export async function signCsr(
  folder: string,
  authority: Authority,
  csrPem: string,
  more: readonly string[] = [],
): Promise<string> {
  const stem = join(folder, `signed-${Math.random().toString(36).slice(2)}`)
  await writeFile(`${stem}.csr`, csrPem)
  await openssl(
    'x509',
    '-req',
    '-in',
    `${stem}.csr`,
    '-CA',
    authority.certificateFile,
    '-CAkey',
    authority.keyFile,
    '-set_serial',
    '2',
    '-days',
    '92',
    '-out',
    `${stem}.crt`,
    ...more,
  )
  return readFile(`${stem}.crt`, 'utf8')
}

/** A key, and a client certificate for it that an authority has signed. */
export async function makeClientCertificate(
  folder: string,
  authority: Authority,
  cn: string,
): Promise<{ readonly chain: string; readonly key: string }> {
  const keyFile = join(folder, `${cn}.key`)
  const csr = await openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile, '-subj', `/CN=${cn}`)
  return { chain: await signCsr(folder, authority, csr), key: await readFile(keyFile, 'utf8') }
}
