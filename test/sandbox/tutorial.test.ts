/** Goes through Kyma's tutorial with the programs that it names, openssl and curl. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { startTestSandbox, stringIn } from './wire.js'

const execute = promisify(execFile)
const EVENT = '{"event-type":"order.created","event-type-version":"v1","event-time":"2019-04-11T08:30:00Z","data":{}}'

let sandbox: Sandbox
let directory: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sandbox-tutorial-'))
  sandbox = await startTestSandbox({ validitySeconds: 3600, servicesPort: 0 })
})

afterAll(async () => {
  await sandbox.close()
  rmSync(directory, { recursive: true, force: true })
})

/** Runs a program in the test's directory and gives what it says, on both outputs, however it ends. */
async function run(program: string, ...args: string[]): Promise<string> {
  try {
    const running = execute(program, args, { cwd: directory, timeout: 20_000, encoding: 'utf8' })
    running.child.stdin?.end()
    const { stdout, stderr } = await running
    return stdout + stderr
  } catch (error) {
    if (error instanceof Error && 'stdout' in error && 'stderr' in error)
      return `${String(error.stdout)}${String(error.stderr)}`
    throw error
  }
}

const openssl = (...args: string[]): Promise<string> => run('openssl', ...args)

function curl(...args: string[]): Promise<string> {
  const { connectorUrl, gatewayPort, caFile } = sandbox.ready
  const connectorPort = new URL(connectorUrl).port
  const resolve = [
    `connector-service.kyma.local:${connectorPort}:127.0.0.1`,
    `gateway.kyma.local:${gatewayPort}:127.0.0.1`,
  ].flatMap((rule) => ['--resolve', rule])
  return run('curl', '--silent', '--show-error', '--max-time', '10', '--cacert', caFile, ...resolve, ...args)
}

const write = (file: string, base64: string): void => {
  writeFileSync(join(directory, file), Buffer.from(base64, 'base64'), { mode: 0o600 })
}
const certificate = ['--cert', 'generated.crt', '--key', 'generated.key']
const gateway = (path: string): string => `https://gateway.kyma.local:${sandbox.ready.gatewayPort}${path}`

describe('the tutorial', () => {
  test('gets from a token URL to a certificate', async () => {
    const info = await curl(sandbox.ready.tokenUrls['demo'] ?? '')
    expect(info).toContain('"subject":"O=Organization,OU=OrgUnit,L=Waldorf,ST=Waldorf,C=DE,CN=demo"')

    await openssl('genrsa', '-out', 'generated.key', '2048')
    const subject = '/OU=OrgUnit/O=Organization/L=Waldorf/ST=Waldorf/C=DE/CN=demo'
    await openssl('req', '-new', '-sha256', '-out', 'generated.csr', '-key', 'generated.key', '-subj', subject)
    const csr = await openssl('base64', '-A', '-in', 'generated.csr')
    const signed = await curl(
      '-H',
      'Content-Type: application/json',
      '-d',
      `{"csr":"${csr}"}`,
      stringIn(info, 'csrUrl'),
    )
    write('generated.crt', stringIn(signed, 'clientCrt'))
    write('chain.crt', stringIn(signed, 'crt'))
    write('ca.crt', stringIn(signed, 'caCrt'))
    expect(await curl(sandbox.ready.tokenUrls['demo'] ?? '')).toBe('{"code":403,"error":"Invalid token."}\n')
  })

  test('leads to a certificate that openssl verifies, as Kyma signs them', async () => {
    expect(await openssl('verify', '-purpose', 'sslclient', '-CAfile', 'ca.crt', 'generated.crt')).toBe(
      'generated.crt: OK\n',
    )
    const text = await openssl('x509', '-in', 'generated.crt', '-noout', '-text')
    expect(text).toContain('Serial Number: 2 (0x2)')
    expect(text).toContain('Subject: C = DE, ST = Waldorf, L = Waldorf, O = Organization, OU = OrgUnit, CN = demo\n')
    expect(text).toMatch(
      /Key Usage: critical\s+Digital Signature\s+X509v3 Extended Key Usage: \s+TLS Web Client Authentication\s+Sig/,
    )
    const [start = '', end = ''] = (await openssl('x509', '-in', 'generated.crt', '-noout', '-dates'))
      .split('\n')
      .map((line) => line.split('=')[1])
    expect(Date.parse(end) - Date.parse(start)).toBe(3600 * 1000)
    expect(Math.abs(Date.now() - Date.parse(start))).toBeLessThan(60_000)
  })

  test('hands out a CA that is X.509 v1, in date, and its own issuer', async () => {
    const text = await openssl('x509', '-in', 'ca.crt', '-noout', '-text')
    expect(text).toContain('Version: 1 (0x0)')
    expect(text).not.toContain('X509v3')
    expect(await openssl('verify', '-check_ss_sig', '-CAfile', 'ca.crt', 'ca.crt')).toBe('ca.crt: OK\n')
    expect(readFileSync(join(directory, 'chain.crt'), 'utf8')).toBe(
      readFileSync(join(directory, 'generated.crt'), 'utf8') + readFileSync(join(directory, 'ca.crt'), 'utf8'),
    )
  })

  test.each(['--http1.1', '--http2'])('calls management, registry and events with %s', async (version) => {
    expect(await curl(version, gateway('/v1/applications/management/info'), ...certificate)).toContain(
      '{"clientIdentity":{"application":"demo"},"urls":{"eventsUrl":"https://gateway.kyma.local/demo/v1/events"',
    )
    const write = '\n%{http_version} %{http_code} %{content_type}'
    const services = await curl(version, gateway('/demo/v1/metadata/services'), ...certificate, '-w', write)
    expect(services).toBe(`[]\n\n${version === '--http2' ? '2' : '1.1'} 200 application/json;charset=UTF-8`)
    expect(await curl(version, gateway('/demo/v1/events'), ...certificate, '-d', EVENT)).toContain(
      '"status":"published"',
    )
  })

  test('meets the pages of the ingress without a certificate, and for another App', async () => {
    const code = ['-o', '/dev/null', '-w', '%{http_code} %{content_type}']
    expect(await curl(gateway('/v1/applications/management/info'), ...code)).toBe('400 text/html')
    expect(await curl(gateway('/shop/v1/events'), ...certificate, '-d', EVENT, ...code)).toBe('403 text/html')
  })
})

describe('the server side', () => {
  test.each(['connector-service', 'gateway'])(
    'of %s has a certificate for its name that verifies strictly',
    async (host) => {
      const port = host === 'gateway' ? String(sandbox.ready.gatewayPort) : new URL(sandbox.ready.connectorUrl).port
      const name = `${host}.kyma.local`
      const connect = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', name, '-verify_hostname', name]
      const said = await openssl(...connect, '-x509_strict', '-verify_return_error', '-CAfile', sandbox.ready.caFile)
      expect(said).toContain('Verify return code: 0 (ok)')
    },
  )

  test.each(['connector-service', 'gateway'])('of %s speaks TLS 1.2 and 1.3 and nothing older', async (host) => {
    const url = host === 'gateway' ? gateway('/') : sandbox.ready.connectorUrl
    const status = async (version: string, max: string): Promise<string> =>
      // Debian's OpenSSL would not offer TLS 1.1 by itself.
      curl(url, version, '--tls-max', max, '--ciphers', 'DEFAULT@SECLEVEL=0', '-o', '/dev/null', '-w', '%{http_code}')
    expect(await status('--tlsv1.2', '1.2')).toMatch(/^[34]\d\d/)
    expect(await status('--tlsv1.3', '1.3')).toMatch(/^[34]\d\d/)
    expect(await status('--tlsv1.1', '1.1')).toMatch(/^000curl: \(35\)/)
  })
})
