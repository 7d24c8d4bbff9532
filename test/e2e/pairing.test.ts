import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openssl, temporaryFolder } from '../support/certificates.js'
import { jsonError, kyconnect, type Run, run, type RunOptions } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

interface Report {
  app: string
  profile: string
  directory: string
  nodePort: number | null
  certificate: { subject: string; fingerprint: string; notBefore: string; notAfter: string; daysLeft: number }
  urls: Record<string, string>
  calledUrls: Record<string, string>
}

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let homes = 0

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([
    startSandboxProcess(['--app', 'demo', '--app', 'shop']),
    temporaryFolder('pairing'),
  ])
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

function newHome(): string {
  return join(folder.path, `home-${homes++}`)
}

/** Runs the program with what the sandbox says leads to it. */
function go(home: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return kyconnect(args, { ...options, env: { ...sandbox.ready.env, KYCONNECT_HOME: home, ...options.env } })
}

async function paired(home: string, args: readonly string[] = []): Promise<Report> {
  const done = await go(home, ['pair', '--url', '-', '--json', ...args], { input: await sandbox.tokenUrl() })
  expect(done.code, done.stderr).toBe(0)
  return JSON.parse(done.stdout) as Report
}

const service = {
  provider: 'Shop Ltd',
  name: 'orders',
  description: 'The orders of the shop',
  api: { targetUrl: 'https://shop.example.com/orders', credentials: { basic: { username: 'u', password: 'p' } } },
}
const event = {
  'event-type': 'order.created',
  'event-type-version': 'v1',
  'event-time': '2026-11-23T20:00:00Z',
  data: { order: 4711 },
}

describe('the main job', () => {
  test('pair, info, a service created, listed, read, changed and removed, an event sent', async () => {
    const home = newHome()
    const pairedAs = await paired(home, ['--app', 'demo'])
    expect(pairedAs).toMatchObject({
      app: 'demo',
      commonName: 'demo',
      profile: 'demo',
      nodePort: sandbox.ready.gatewayPort,
      insecure: false,
    })
    expect(pairedAs.certificate.daysLeft).toBe(91)
    expect(pairedAs.certificate.notAfter).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(Object.keys(pairedAs.urls).sort()).toEqual([
      'eventsUrl',
      'infoUrl',
      'metadataUrl',
      'renewCertUrl',
      'revokeCertUrl',
    ])
    expect(pairedAs.urls['metadataUrl']).toBe('https://gateway.kyma.local/demo/v1/metadata/services')
    expect(pairedAs.calledUrls['metadataUrl']).toBe(
      `https://gateway.kyma.local:${sandbox.ready.gatewayPort}/demo/v1/metadata/services`,
    )

    // What pair stored is enough: nothing of the sandbox's environment any more.
    const alone = (args: readonly string[], input?: string): Promise<Run> =>
      kyconnect(args, { env: { KYCONNECT_HOME: home }, ...(input === undefined ? {} : { input }) })
    const info = await alone(['info', '--json'])
    expect(JSON.parse(info.stdout)).toEqual(pairedAs)

    const created = await alone(['call', 'metadata', '-d', JSON.stringify(service)])
    expect(created.code, created.stderr).toBe(0)
    const { id } = JSON.parse(created.stdout) as { id: string }
    const list = await alone(['call', 'metadata'])
    expect(JSON.parse(list.stdout)).toMatchObject([{ id, name: 'orders', labels: { 'connected-app': 'demo' } }])
    const file = join(folder.path, 'service.json')
    await writeFile(file, JSON.stringify({ ...service, name: 'orders-2' }))
    expect((await alone(['call', 'metadata', `/${id}`, '-X', 'PUT', '-d', `@${file}`])).code).toBe(0)
    const one = await alone(['call', 'metadata', id])
    expect(JSON.parse(one.stdout)).toMatchObject({
      name: 'orders-2',
      api: { credentials: { basic: { username: '********', password: '********' } } },
    })
    const sent = await alone(['call', 'events', '-d', '@-'], JSON.stringify(event))
    expect(JSON.parse(sent.stdout)).toMatchObject({ 'event-id': expect.stringMatching(/^[0-9a-f-]{36}$/) as string })
    expect((await alone(['call', 'metadata', `/${id}`, '-X', 'DELETE'])).code).toBe(0)
    expect((await alone(['call', 'metadata'])).stdout.trim()).toBe('[]')
    expect(JSON.parse((await alone(['call', 'info'])).stdout)).toMatchObject({
      clientIdentity: { application: 'demo' },
    })
  })

  test('a log reports every step on a plain line, on stderr, without a control character', async () => {
    const done = await go(newHome(), ['pair', '--url', '-'], { input: await sandbox.tokenUrl() })
    expect(done.stdout).toBe('')
    expect(done.stderr).toMatch(
      /^CSR information: O=Organization.*CN=demo\nPrivate key: .*\nCertificate: valid until .*\nManagement info: 5 URLs\n/,
    )
    expect(done.stderr).toMatch(
      /Paired with the App "demo"\.\n {2}valid until {2}\d{4}-\d\d-\d\d \(91 days left\)\n {2}stored in .*current.*\n {2}next +kyconnect services list/,
    )
    // eslint's no-control-regex is not among the rules here: finding one is the point.
    expect(done.stderr.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
  })

  test('NO_COLOR and FORCE_COLOR are honoured', async () => {
    const coloured = await kyconnect(['info'], { env: { KYCONNECT_HOME: newHome(), FORCE_COLOR: '1' } })
    expect(coloured.stderr).toContain('\u001b[31merror:')
    const plain = await kyconnect(['info'], { env: { KYCONNECT_HOME: newHome(), FORCE_COLOR: '1', NO_COLOR: '1' } })
    expect(plain.stderr).not.toContain('\u001b')
  })

  test('a URL pasted with other characters is cleaned with a warning, and its query is sent unchanged', async () => {
    const url = await sandbox.tokenUrl()
    const pasted = ` "${url.replace('?', '\\?').replace('=', '\\=').slice(0, 90)}\n   ${url.replace('?', '\\?').replace('=', '\\=').slice(90)}" \r\n`
    const done = await go(newHome(), ['pair', '--json', '--url', '-'], { input: pasted })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain('the token URL was cleaned')
    const encoded = (await sandbox.tokenUrl()).replace(/==$/, '%3D%3D')
    expect((await go(newHome(), ['pair', '--json'], { env: { KYCONNECT_TOKEN_URL: encoded } })).code).toBe(0)
  })

  test('a key of the user, PKCS#1 or PKCS#8, is used and kept; EC, encrypted and short ones are refused with the reason', async () => {
    const file = (name: string): string => join(folder.path, name)
    await openssl('genrsa', '-traditional', '-out', file('pkcs1.pem'), '2048')
    await openssl('pkcs8', '-topk8', '-nocrypt', '-in', file('pkcs1.pem'), '-out', file('pkcs8.pem'))
    await openssl('pkcs8', '-topk8', '-passout', 'pass:x', '-in', file('pkcs1.pem'), '-out', file('locked.pem'))
    await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file('ec.pem'))
    await openssl('genrsa', '-out', file('short.pem'), '1024')
    for (const name of ['pkcs1.pem', 'pkcs8.pem']) {
      const { directory } = await paired(newHome(), ['--key-file', file(name)])
      expect(await readFile(join(directory, 'key.pem'), 'utf8')).toBe(await readFile(file('pkcs8.pem'), 'utf8'))
    }
    for (const [name, reason] of [
      ['ec.pem', /RSA keys only/],
      ['locked.pem', /encrypted/],
      ['short.pem', /1024 bits/],
      ['none.pem', /cannot be read/],
    ] as const) {
      const refused = await go(newHome(), ['pair', '--json', '--key-file', file(name), '--url', '-'], {
        input: 'https://x.invalid/',
      })
      expect(jsonError(refused).message).toMatch(reason)
      expect(refused.code).toBe(name === 'none.pem' ? 9 : 2)
    }
  })

  test('--key-algorithm makes the key that is asked for, and refuses EC with the reason', async () => {
    const { directory } = await paired(newHome(), ['--key-algorithm', 'rsa3072'])
    expect(await openssl('rsa', '-in', join(directory, 'key.pem'), '-noout', '-text')).toContain('3072 bit')
    const refused = await go(newHome(), ['pair', '--json', '--key-algorithm', 'ec256', '--url', '-'], { input: 'x' })
    expect([refused.code, jsonError(refused).message]).toEqual([2, expect.stringContaining("Kyma's CA key is RSA")])
  })

  test('with --insecure no CA is needed, a warning is printed, and the identity stays marked', async () => {
    const home = newHome()
    const env = { KYCONNECT_CA_FILE: '' }
    const done = await go(home, ['pair', '-k', '--json', '--url', '-'], { env, input: await sandbox.tokenUrl() })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain("THE SERVER'S CERTIFICATE IS NOT CHECKED")
    expect(JSON.parse(done.stdout)).toMatchObject({ insecure: true })
    // Not remembered: without a CA the next command does not trust the gateway.
    const later = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home } })
    expect([later.code, jsonError(later).code]).toEqual([4, 'ERR_SERVER_CERTIFICATE'])
    const trusted = await go(home, ['info'])
    expect(trusted.stderr).toContain("the cluster's certificate has never been checked")
    expect((await go(home, ['status'])).stdout).toMatch(/ paired with --insecure\n$/)
  })
})

describe('what is written', () => {
  test('openssl and curl take it as it is', async () => {
    const { directory, calledUrls, certificate } = await paired(newHome())
    const file = (name: string): string => join(directory, name)
    expect(
      await openssl('verify', '-CAfile', file('ca.crt'), '-untrusted', file('chain.crt'), file('client.crt')),
    ).toContain('OK')
    const printed = await openssl(
      'x509',
      '-in',
      file('client.crt'),
      '-noout',
      '-fingerprint',
      '-sha256',
      '-subject',
      '-serial',
    )
    expect(printed.toLowerCase().replaceAll(':', '')).toContain(certificate.fingerprint)
    expect(printed).toContain('serial=02')
    const publicKeys = await Promise.all([
      openssl('pkey', '-in', file('key.pem'), '-pubout'),
      openssl('x509', '-in', file('client.crt'), '-noout', '-pubkey'),
    ])
    expect(publicKeys[0]).toBe(publicKeys[1])
    expect(await readFile(file('key.pem'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/)
    const curl = await run('curl', [
      '-sS',
      '--fail-with-body',
      '--cacert',
      sandbox.ready.caFile,
      '--connect-to',
      `gateway.kyma.local::127.0.0.1:`,
      '--resolve',
      `gateway.kyma.local:${sandbox.ready.gatewayPort}:127.0.0.1`,
      '--cert',
      file('chain.crt'),
      '--key',
      file('key.pem'),
      calledUrls['infoUrl'] ?? '',
    ])
    expect(curl.code, curl.stderr).toBe(0)
    expect(JSON.parse(curl.stdout)).toMatchObject({ clientIdentity: { application: 'demo' } })
    const client = await run(
      'openssl',
      [
        's_client',
        '-connect',
        `127.0.0.1:${sandbox.ready.gatewayPort}`,
        '-servername',
        'gateway.kyma.local',
        '-CAfile',
        sandbox.ready.caFile,
        '-verify_return_error',
        '-cert',
        file('client.crt'),
        '-cert_chain',
        file('chain.crt'),
        '-key',
        file('key.pem'),
      ],
      { input: 'Q\n' },
    )
    expect(client.stdout).toContain('Verify return code: 0 (ok)')
  })

  test('files are 0600 and folders 0700, whatever the umask', async () => {
    for (const umask of ['000', '777']) {
      const home = newHome()
      const done = await run(
        'bash',
        [
          '-c',
          `umask ${umask}; exec "$0" "$@"`,
          process.execPath,
          join(import.meta.dirname, '../../bin/kyconnect.js'),
          'pair',
          '--json',
          '--url',
          '-',
        ],
        {
          env: { ...sandbox.ready.env, KYCONNECT_HOME: home, XDG_CACHE_HOME: join(folder.path, 'cache') },
          input: await sandbox.tokenUrl(),
        },
      )
      expect(done.code, done.stderr).toBe(0)
      for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
        if (entry.isSymbolicLink()) continue
        const { mode } = await stat(join(entry.parentPath, entry.name))
        expect([entry.name, (mode & 0o777).toString(8)]).toEqual([entry.name, entry.isDirectory() ? '700' : '600'])
      }
    }
  })
})

describe('a call', () => {
  let home = ''
  beforeAll(async () => {
    home = newHome()
    await paired(home)
  })

  test('hands on the body of an answer byte for byte, and into a file', async () => {
    const file = join(folder.path, 'answer')
    const [direct, written] = await Promise.all([go(home, ['call', 'info']), go(home, ['call', 'info', '-o', file])])
    expect(written.stdout).toBe('')
    expect(await readFile(file, 'utf8')).toBe(direct.stdout)
    expect(direct.stdout).toMatch(/^\{"clientIdentity".*\}\n$/)
  })
  test('prints status and headers with -i', async () => {
    expect((await go(home, ['call', 'info', '-i'])).stdout).toMatch(
      /^HTTP\/1\.1 200\r\n[^]*content-type: application\/json;charset=UTF-8\r\n[^]*\r\n\r\n\{/,
    )
  })
  test('exits with 6 on a 4xx, the body on stdout and the error on stderr', async () => {
    const refused = await go(home, ['call', 'metadata', '-d', '{}'])
    expect(refused.code).toBe(6)
    expect(JSON.parse(refused.stdout)).toMatchObject({ code: 400 })
    expect(refused.stderr).toMatch(/^error: .*refused POST .*400 "Failed to validate request body/)
  })
  test('streams a body from a file and from standard input, larger than a pipe holds', async () => {
    const body = JSON.stringify({ ...service, name: 'large', description: 'x'.repeat(1_000_000) })
    const file = join(folder.path, 'large.json')
    await writeFile(file, body)
    const fromFile = await go(home, ['call', 'metadata', '-d', `@${file}`])
    expect(fromFile.code, fromFile.stderr).toBe(0)
    const fromInput = await go(home, ['call', 'metadata', '-d', '@-'], { input: body })
    expect(fromInput.code, fromInput.stderr).toBe(0)
    const list = JSON.parse((await go(home, ['call', 'metadata'])).stdout) as { name: string; description: string }[]
    expect(list.filter(({ name, description }) => name === 'large' && description.length === 1_000_000)).toHaveLength(2)
  })
  test('follows a redirect within the gateway, NodePort and all', async () => {
    const { directory } = JSON.parse((await go(home, ['info', '--json'])).stdout) as Report
    const metadata = join(directory, 'identity.json')
    const stored = await readFile(metadata, 'utf8')
    await writeFile(metadata, stored.replace('/demo/v1/metadata/services', '/demo/v1/metadata'))
    try {
      const followed = await go(home, ['call', 'metadata'])
      expect(followed.code, followed.stderr).toBe(0)
      expect(followed.stdout).toMatch(/openapi|swagger/)
    } finally {
      await writeFile(metadata, stored)
    }
  })
  test('never leaves its endpoint', async () => {
    for (const path of ['/../../v1/events', '/%2e%2e/x', '/a\\..\\b', '#x', '/x y', '@evil.example/x']) {
      const refused = await go(home, ['call', 'metadata', path])
      expect([path, refused.code]).toEqual([path, 2])
    }
    for (const path of ['/@evil.example/x', '//evil.example/', ':1/']) {
      expect([path, (await go(home, ['call', 'metadata', path])).code]).toEqual([path, 6])
    }
    expect((await go(home, ['call', 'metadata', '-H', 'Host: evil.example'])).code).toBe(2)
  })
  test('ends quietly when its reader closes the pipe', async () => {
    const done = await run(
      'bash',
      [
        '-c',
        '"$0" "$@" | head -c 1; exit "${PIPESTATUS[0]}"',
        process.execPath,
        join(import.meta.dirname, '../../bin/kyconnect.js'),
        'call',
        'metadata',
      ],
      {
        env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
      },
    )
    expect([done.code, done.stdout, done.stderr]).toEqual([0, '[', ''])
  })
})

test('the tutorial, with openssl and curl, works against the sandbox as it does against Kyma', async () => {
  const at = join(folder.path, 'tutorial')
  await mkdir(at)
  const { hostname, port } = new URL(sandbox.ready.connectorUrl)
  await writeFile(
    join(at, 'curlrc'),
    [
      `cacert = "${sandbox.ready.caFile}"`,
      `resolve = "${hostname}:${port}:127.0.0.1"`,
      `resolve = "gateway.kyma.local:${sandbox.ready.gatewayPort}:127.0.0.1"`,
      'silent',
      'show-error',
      'fail-with-body',
    ].join('\n'),
  )
  const script = `
set -euo pipefail
curl -K curlrc "$TOKEN_URL" > info.json
subject="/$(jq -r .certificate.subject info.json | tr , /)"
openssl genrsa -out generated.key 2048
openssl req -new -sha256 -out generated.csr -key generated.key -subj "$subject"
openssl req -in generated.csr -verify -noout
csr=$(openssl base64 -A -in generated.csr)
curl -K curlrc -H "Content-Type: application/json" -d "{\\"csr\\":\\"$csr\\"}" "$(jq -r .csrUrl info.json)" > answer.json
jq -r .crt answer.json | base64 -d > generated.crt
jq -r .caCrt answer.json | base64 -d > ca.crt
openssl verify -CAfile ca.crt generated.crt
gateway="https://gateway.kyma.local:$NODE_PORT"
curl -K curlrc --cert generated.crt --key generated.key "$gateway/v1/applications/management/info" | jq -e '.clientIdentity.application == "demo"'
curl -K curlrc --cert generated.crt --key generated.key "$gateway/demo/v1/metadata/services" | jq -e 'type == "array"'
curl -K curlrc --cert generated.crt --key generated.key -d '${JSON.stringify(event)}' "$gateway/demo/v1/events" | jq -e '."event-id"'
`
  const done = await run('bash', ['-c', script], {
    cwd: at,
    env: { TOKEN_URL: await sandbox.tokenUrl(), NODE_PORT: String(sandbox.ready.gatewayPort) },
  })
  expect(done.code, done.stderr + done.stdout).toBe(0)
})
