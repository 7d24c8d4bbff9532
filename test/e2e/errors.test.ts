import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import * as https from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeServerCertificate, openssl, temporaryFolder } from '../support/certificates.js'
import { base64, domain, type FakeKyma, json, startFakeKyma } from '../support/fake-kyma.js'
import {
  jsonError,
  kyconnect,
  plainEnvironment,
  program,
  run,
  type Run,
  type RunOptions,
  start,
} from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''
let homes = 0

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('errors')])
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})
beforeEach(() => {
  fake.faults = {}
  fake.requests.length = 0
  home = join(folder.path, `home-${homes++}`)
})

/** Pairs against the fake with --json; what a test gives in `env` wins. */
function pair(args: readonly string[] = [], options: RunOptions = {}): Promise<Run> {
  return kyconnect(['pair', '--json', '--timeout', '30', ...args], {
    ...options,
    env: { ...fake.env, KYCONNECT_HOME: home, KYCONNECT_TOKEN_URL: fake.tokenUrl, ...options.env },
  })
}

/** Asks for the management info with --json. */
function info(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Run> {
  return kyconnect(['info', '--json', '--timeout', '30', ...args], { env: { KYCONNECT_HOME: home, ...env } })
}

/** That a run of info failed as it should, and printed the stored identity all the same. */
async function expectInfoFailure(run: Run, exitCode: number, code: string, names: RegExp): Promise<void> {
  expect(JSON.parse(run.stdout)).toMatchObject({ app: 'demo', verified: false })
  await expectFailure({ ...run, stdout: '' }, exitCode, code, names, 'identity')
}

/** Every file below a home, by its path in it; but the lock of each profile, which stays. */
async function files(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .filter((file) => !file.startsWith('.locks/'))
    .sort()
}

/** That a run failed as it should, and left nothing but what is named. */
async function expectFailure(
  run: Run,
  exitCode: number,
  code: string,
  names: RegExp,
  left: 'nothing' | 'pending' | 'identity',
): Promise<void> {
  const error = jsonError(run)
  expect({ exit: run.code, code: error.code, reported: error.exitCode }, run.stderr).toEqual({
    exit: exitCode,
    code,
    reported: exitCode,
  })
  expect(`${error.message} ${error.hint}`).toMatch(names)
  expect(run.stdout).toBe('')
  expect(`${run.stdout}${run.stderr}`).not.toContain('token=' + tokenOf(fake.tokenUrl))
  const found = await files(home)
  const kinds = {
    pending: found.some((file) => file.includes('/pending/')),
    identity: found.some((file) => file.endsWith('pointer.json')),
  }
  expect(kinds, found.join(' ')).toEqual({ pending: left === 'pending', identity: left === 'identity' })
}

function subjectOf(app: string): string {
  return `O=Organization,OU=OrgUnit,L=Waldorf,ST=Waldorf,C=DE,CN=${app}`
}

function tokenOf(url: string): string {
  return url.split('token=')[1] ?? ''
}

describe('the token', () => {
  let sandbox: SandboxProcess
  beforeAll(async () => {
    sandbox = await startSandboxProcess(['--token-ttl', '1'])
  })
  afterAll(() => sandbox.stop())

  test('one that was used is refused with 3, and nothing is left on disk', async () => {
    const url = await sandbox.tokenUrl()
    await fetchOnce(url, sandbox)
    const run = await pair([], { env: { ...sandbox.ready.env, KYCONNECT_TOKEN_URL: url } })
    await expectFailure(run, 3, 'ERR_TOKEN_REJECTED', /already used.*new token URL/s, 'nothing')
  })
  test('one that expired is refused with 3', async () => {
    const url = await sandbox.tokenUrl()
    await new Promise((resolve) => setTimeout(resolve, 1300))
    const run = await pair([], { env: { ...sandbox.ready.env, KYCONNECT_TOKEN_URL: url } })
    await expectFailure(run, 3, 'ERR_TOKEN_REJECTED', /older than 5 minutes/, 'nothing')
  })
  test('a URL without one is refused before it is sent, with 2', async () => {
    const url = (await sandbox.tokenUrl()).split('?')[0] ?? ''
    const run = await pair([], { env: { ...sandbox.ready.env, KYCONNECT_TOKEN_URL: url } })
    await expectFailure(run, 2, 'ERR_TOKEN_URL_INVALID', /has no token/, 'nothing')
  })
  test('text that is not a URL is a usage error, and is not repeated', async () => {
    const run = await pair([], {
      env: {
        KYCONNECT_TOKEN_URL: 'MLqfmOrOd4TSfAdbitQQg09tpM6Bi0J7UR8438BhnYvBkGrigIyWIQ60vrmAJNutxa0dTNCPCAZtKTuNjpGQiw==',
      },
    })
    await expectFailure(run, 2, 'ERR_TOKEN_URL_INVALID', /not a valid URL/, 'nothing')
    expect(run.stderr).not.toContain('MLqfmOrOd4')
  })
  test('an http URL is a usage error', async () => {
    const run = await pair([], { env: { KYCONNECT_TOKEN_URL: fake.tokenUrl.replace('https:', 'http:') } })
    await expectFailure(run, 2, 'ERR_TOKEN_URL_INVALID', /only https/, 'nothing')
    expect(fake.requests).toEqual([])
  })
  test('a missing token URL is a usage error where there is no terminal to ask on', async () => {
    const run = await pair([], { env: { KYCONNECT_TOKEN_URL: '' } })
    await expectFailure(run, 2, 'ERR_USAGE', /no token URL.*--url -/s, 'nothing')
  })
  test('the URL of another service, which answers with HTML, is a malformed answer: 7', async () => {
    fake.faults.info = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html><title>Welcome</title></html>')
    }
    await expectFailure(await pair(), 7, 'ERR_ANSWER_MALFORMED', /HTML page/, 'nothing')
  })
  test('a 404 page of HTML is a 4xx: 6, with its heading', async () => {
    fake.faults.info = (_, response) => {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<html><title>404 Not Found</title></html>')
    }
    await expectFailure(await pair(), 6, 'ERR_REQUEST_REFUSED', /404 Not Found/, 'nothing')
  })
  test('a 500 after which the token is consumed says so', async () => {
    fake.faults.info = (_, response) => {
      response
        .writeHead(500, { 'content-type': 'application/json' })
        .end(`{"code":500,"error":"Could not fetch gateway URL."}\n${JSON.stringify(fake.goodInfo())}\n`)
    }
    await expectFailure(
      await pair(),
      7,
      'ERR_SERVICE_FAILED',
      /consumed the token.*Could not fetch gateway URL.*new token URL/s,
      'nothing',
    )
  })
})

describe('the way to the service', () => {
  test('a name that does not resolve: 8, with both ways out', async () => {
    const run = await pair([], {
      env: { KYCONNECT_TOKEN_URL: 'https://connector-service.nowhere.invalid/info?token=abcdefgh12345678' },
    })
    await expectFailure(
      run,
      8,
      'ERR_NETWORK',
      /connector-service\.nowhere\.invalid.*--resolve.*\/etc\/hosts/s,
      'nothing',
    )
  })
  test('a port where nothing listens: 8, naming the place', async () => {
    const port = await freePort()
    const run = await pair([], {
      env: { KYCONNECT_TOKEN_URL: fake.tokenUrl.replace(`:${fake.connectorPort}`, `:${port}`) },
    })
    await expectFailure(run, 8, 'ERR_NETWORK', new RegExp(`nothing listens at .*127\\.0\\.0\\.1:${port}`), 'nothing')
  })
  test('a connection that is never answered: 8, a time-out while connecting', async () => {
    await withServer(
      () => undefined,
      async (port) => {
        const run = await pair(['--timeout', '4'], {
          env: { KYCONNECT_TOKEN_URL: fake.tokenUrl.replace(`:${fake.connectorPort}`, `:${port}`) },
        })
        await expectFailure(run, 8, 'ERR_TIMEOUT', /4 s .*connecting.*--timeout/s, 'nothing')
      },
    )
  })
  test('an answer that does not come: 8, a time-out while waiting', async () => {
    fake.faults.info = () => undefined
    await expectFailure(await pair(['--timeout', '4']), 8, 'ERR_TIMEOUT', /waiting for the answer/, 'nothing')
  })
  test('an answer that trickles without end: 8', async () => {
    fake.faults.info = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const drip = setInterval(() => response.write(' '), 100)
      response.on('close', () => {
        clearInterval(drip)
      })
    }
    await expectFailure(await pair(['--timeout', '4']), 8, 'ERR_TIMEOUT', /reading the answer/, 'nothing')
  })
  test('an answer that is huge is not read to its end: 7', async () => {
    fake.faults.info = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const chunk = Buffer.alloc(64 * 1024, 0x20)
      const pour = (): void => {
        while (!response.destroyed && response.write(chunk));
      }
      response.on('drain', pour)
      pour()
    }
    await expectFailure(await pair(), 7, 'ERR_ANSWER_MALFORMED', /larger than 1 MiB/, 'nothing')
  })
  test('a port that does not speak TLS: 8', async () => {
    await withServer(
      (socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')),
      async (port) => {
        const run = await pair([], {
          env: { KYCONNECT_TOKEN_URL: fake.tokenUrl.replace(`:${fake.connectorPort}`, `:${port}`) },
        })
        await expectFailure(run, 8, 'ERR_NETWORK', /does not speak TLS/, 'nothing')
      },
    )
  })
  test('a reset on the token URL: 8, and the token was sent once only', async () => {
    fake.faults.info = (request) => request.socket.destroy()
    await expectFailure(
      await pair(),
      8,
      'ERR_NETWORK',
      /broke before the answer was complete.*probably consumed/s,
      'nothing',
    )
    expect(fake.requests).toHaveLength(1)
  })
  test('a reset at the signing is tried again, then 8, and the pairing waits', async () => {
    fake.faults.csr = (request) => request.socket.destroy()
    await expectFailure(await pair(), 8, 'ERR_NETWORK', /--resume --profile demo/, 'pending')
    expect(fake.requests.filter((line) => line.startsWith('POST'))).toHaveLength(3)
    fake.faults = {}
    const resumed = await kyconnect(['pair', '--resume', '--json'], { env: { ...fake.env, KYCONNECT_HOME: home } })
    expect(resumed.code, resumed.stderr).toBe(0)
  })
  test.each<[string, number, Record<string, string>, string]>([
    ['a redirect', 302, { location: 'https://portal.example/' }, ''],
    ['a page instead of an answer', 200, { 'content-type': 'text/html' }, '<html><title>Sign in</title></html>'],
    ['a huge failure', 400, {}, 'x'.repeat(2 * 1024 * 1024)],
  ])(
    '%s instead of a 201 has not spent the token: the pairing waits, and can be resumed',
    async (_, status, headers, body) => {
      fake.faults.csr = (_request, response) => response.writeHead(status, headers).end(body)
      const failed = await pair()
      expect(failed.code).toBe(7)
      await expectFailure(failed, 7, 'ERR_ANSWER_MALFORMED', /--resume --profile demo/, 'pending')
      fake.faults = {}
      const resumed = await kyconnect(['pair', '--resume', '--json'], { env: { ...fake.env, KYCONNECT_HOME: home } })
      expect(resumed.code, resumed.stderr).toBe(0)
    },
  )
  test('a certificate that no library can read is refused, and the token is consumed', async () => {
    fake.faults.csr = async (_, response, body) => {
      const signed = await fake.sign(body)
      const pem = Buffer.from(signed['clientCrt'] ?? '', 'base64').toString()
      const der = Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64')
      // The date of its end becomes letters; node reads it all the same.
      const at = der.lastIndexOf(Buffer.from([0x17, 0x0d]))
      der.write('xxxxxxxxxxxxZ', at + 2, 'latin1')
      const broken = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
      json(response, 201, { ...signed, crt: base64(broken), clientCrt: base64(broken) })
    }
    const failed = await pair()
    expect([4, 7]).toContain(failed.code)
    expect(jsonError(failed).hint).toContain('the token is consumed')
    expect(await files(home)).toEqual([])
  })
  test('an identity whose pointer is damaged is replaced with --force', async () => {
    expect((await pair()).code).toBe(0)
    await writeFile(join(home, 'demo', 'pointer.json'), '{')
    const failed = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home } })
    expect(jsonError(failed)).toMatchObject({
      exitCode: 5,
      hint: expect.stringContaining('pair --force --profile demo') as string,
    })
    const done = await pair(['--force'])
    expect(done.code, done.stderr).toBe(0)
  })
  test('a replacement is reached in the same way as the identity that it replaces', async () => {
    expect((await pair()).code).toBe(0)
    const env = { KYCONNECT_HOME: home }
    const bare = await kyconnect(['pair', '--app', 'demo', '--force', '--json', '--url', '-'], {
      env,
      input: fake.tokenUrl,
    })
    expect(bare.code, bare.stderr).toBe(0)
    expect((await kyconnect(['info', '--json'], { env })).code).toBe(0)
  })
  test.each(['renewCertUrl', 'revokeCertUrl', 'certificatesUrl', 'somethingNew'])(
    'a CSR information whose %s names a third host is refused: 4',
    async (name) => {
      fake.faults.info = (_, response) => {
        const info = fake.goodInfo()
        json(response, 200, { ...info, api: { ...(info['api'] as object), [name]: 'https://evil.example/x' } })
      }
      await expectFailure(await pair(), 4, 'ERR_UNTRUSTED_URL', /two gateways.*evil.example/s, 'nothing')
    },
  )
  test('an alert of a Connector is not taken for a refused client certificate: there was none', async () => {
    // A TLS record: alert, fatal, handshake failure.
    const refuse = (socket: Socket): void => {
      socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 40])))
    }
    await withServer(refuse, async (port) => {
      await expectFailure(await pairOn(port), 4, 'ERR_SERVER_CERTIFICATE', /refused the TLS connection/, 'nothing')
    })
  })
  test('management info without an object of URLs is a malformed answer: 7, and the stored URLs stay', async () => {
    expect((await pair()).code).toBe(0)
    const before = await readFile(join(home, 'demo', 'current', 'identity.json'), 'utf8')
    fake.faults.management = (_, response) => {
      json(response, 200, { urls: null })
    }
    const done = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home } })
    expect([done.code, jsonError(done).code]).toEqual([7, 'ERR_ANSWER_MALFORMED'])
    expect(await readFile(join(home, 'demo', 'current', 'identity.json'), 'utf8')).toBe(before)
  })
  test('a redirect that is not followed shows its body, then why: 7 for a POST, 4 for another place', async () => {
    expect((await pair()).code).toBe(0)
    const redirect = (location: string): void => {
      fake.faults.management = (_, response) => response.writeHead(301, { location }).end('moved on')
    }
    const call = (args: readonly string[]): Promise<Run> =>
      kyconnect(['call', 'info', '--json', ...args], { env: { KYCONNECT_HOME: home } })
    redirect('/elsewhere')
    const posted = await call(['-d', '{}'])
    expect([posted.stdout, posted.code, jsonError(posted).message]).toEqual([
      'moved on',
      7,
      expect.stringContaining('/elsewhere'),
    ])
    redirect('https://evil.example/x')
    const led = await call([])
    expect([led.stdout, led.code, jsonError(led).code]).toEqual(['moved on', 4, 'ERR_UNTRUSTED_URL'])
    expect((await call(['-X', 'CONNECT'])).code).toBe(2)
  })
  test('a CSR that was signed after the client had ended: resuming says that the answer is lost, 8', async () => {
    fake.faults.csr = () => undefined
    await expectFailure(
      await pair(['--timeout', '4']),
      8,
      'ERR_TIMEOUT',
      /waiting for the answer.*--resume/s,
      'pending',
    )
    fake.faults.csr = (_, response) => {
      json(response, 403, { code: 403, error: 'Invalid token.' })
    }
    const env = { ...fake.env, KYCONNECT_HOME: home }
    const resumed = await kyconnect(['pair', '--resume', '--json'], { env })
    await expectFailure(resumed, 8, 'ERR_ANSWER_LOST', /the answer was lost.*new token URL/s, 'nothing')
  })
  test('a pairing that began with --insecure is marked as such when it is resumed without', async () => {
    fake.faults.csr = (_, response) => {
      json(response, 503, { code: 503, error: 'busy' })
    }
    expect((await pair(['--insecure'])).code).toBe(7)
    fake.faults = {}
    const resumed = await kyconnect(['pair', '--resume', '--json'], { env: { ...fake.env, KYCONNECT_HOME: home } })
    expect([resumed.code, JSON.parse(resumed.stdout)], resumed.stderr).toEqual([
      0,
      expect.objectContaining({ insecure: true }),
    ])
  })
  test('a reset at the management info: 8, and the identity is stored and completed by info', async () => {
    fake.faults.management = (request) => request.socket.destroy()
    expect((await pair(['--no-verify'])).code).toBe(0)
    await expectInfoFailure(await info(), 8, 'ERR_NETWORK', /broke before the answer.*valid until/s)
    fake.faults = {}
    const done = await info()
    expect(done.code, done.stderr).toBe(0)
    expect(done.stdout).toContain('renewCertUrl')
  })
  test('a server whose certificate is for another name: 4', async () => {
    const other = await serverWith(['elsewhere.example'])
    await expectFailure(await pairOn(other.port), 4, 'ERR_SERVER_CERTIFICATE', /another name/, 'nothing')
    await other.stop()
  })
  test('a server of an unknown CA: 4, with --ca-file as the way out', async () => {
    const run = await pair([], { env: { KYCONNECT_CA_FILE: fake.clientAuthority.certificateFile } })
    await expectFailure(
      run,
      4,
      'ERR_SERVER_CERTIFICATE',
      /issued by a CA this machine does not trust, ".*CN=.*--ca-file.*SSL_CERT_FILE or NODE_EXTRA_CA_CERTS/s,
      'nothing',
    )
    expect(fake.requests).toEqual([])
  })
  test('a server whose certificate has expired: 4', async () => {
    const expired = await serverWith([`connector-service.${domain}`], ['-days', '-1'])
    await expectFailure(await pairOn(expired.port), 4, 'ERR_SERVER_CERTIFICATE', /has expired/, 'nothing')
    await expired.stop()
  })
  test('the certificates in SSL_CERT_FILE and NODE_EXTRA_CA_CERTS are trusted too', async () => {
    for (const name of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']) {
      const run = await pair(['--profile', name], {
        env: { KYCONNECT_CA_FILE: '', [name]: fake.serverAuthority.certificateFile },
      })
      expect(run.code, run.stderr).toBe(0)
    }
  })
})

describe('the CSR information', () => {
  const wrong: [string, (good: Record<string, unknown>) => unknown, number, string, RegExp][] = [
    ['that is not JSON', () => 'pardon?', 7, 'ERR_ANSWER_MALFORMED', /is not a JSON object/],
    ['without a csrUrl', ({ api, certificate }) => ({ api, certificate }), 7, 'ERR_ANSWER_MALFORMED', /lacks csrUrl/],
    [
      'without a certificate',
      ({ api, csrUrl }) => ({ api, csrUrl }),
      7,
      'ERR_ANSWER_MALFORMED',
      /lacks certificate\.subject/,
    ],
    [
      'whose subject cannot be parsed',
      (good) => ({ ...good, certificate: { subject: 'demo', 'key-algorithm': 'rsa2048' } }),
      7,
      'ERR_ANSWER_MALFORMED',
      /is not a distinguished name/,
    ],
    [
      'whose csrUrl has another origin',
      (good) => ({ ...good, csrUrl: 'https://evil.example/v1/applications/certificates?token=x' }),
      4,
      'ERR_UNTRUSTED_URL',
      /evil\.example/,
    ],
    [
      'whose csrUrl is http',
      (good) => ({ ...good, csrUrl: String(good['csrUrl']).replace('https:', 'http:') }),
      4,
      'ERR_UNTRUSTED_URL',
      /no CSR was sent/,
    ],
    [
      'that names two gateways',
      (good) => ({
        ...good,
        api: { infoUrl: 'https://gateway.kyma.local/info', metadataUrl: 'https://gateway.evil.example/m' },
      }),
      4,
      'ERR_UNTRUSTED_URL',
      /two gateways/,
    ],
    [
      'that announces EC keys',
      (good) => ({ ...good, certificate: { subject: 'O=o,OU=u,L=l,ST=s,C=DE,CN=demo', 'key-algorithm': 'ecdsa256' } }),
      2,
      'ERR_KEY_UNSUITABLE',
      /RSA/,
    ],
  ]
  test.each(wrong)('one %s is refused, and no CSR is sent', async (_, change, exitCode, code, names) => {
    fake.faults.info = (_request, response) => {
      json(response, 200, change(fake.goodInfo()))
    }
    await expectFailure(await pair(), exitCode, code, names, 'nothing')
    expect(fake.requests).toHaveLength(1)
  })
  test('one without URLs, as of releases before 1.0: what there is is stored, with a warning', async () => {
    fake.faults.info = (_, response) => {
      const { csrUrl, certificate } = fake.goodInfo()
      json(response, 200, { csrUrl, certificate })
    }
    const done = await pair()
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain('"code":"no-management-info"')
    expect(JSON.parse(done.stdout)).toMatchObject({ app: 'demo', gatewayHost: null, urls: {} })
    await expectInfoFailure(await info(), 5, 'ERR_IDENTITY_UNUSABLE', /no URL for the management info/)
  })
  test('one whose management info is on the host of the Connector, as in 0.x: it is not called, and the rest is stored', async () => {
    fake.faults.info = (_, response) => {
      const good = fake.goodInfo()
      const { origin } = new URL(String(good['csrUrl']))
      const gateway = 'https://gateway.kyma.local/demo'
      const api = {
        eventsURL: `${gateway}/v1/events`,
        metadataUrl: `${gateway}/v1/metadata/services`,
        infoUrl: `${origin}/v1/applications/demo/info`,
        certificatesUrl: `${origin}/v1/applications/demo/client-certs`,
      }
      json(response, 200, { ...good, api })
    }
    const done = await pair()
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain('"code":"no-management-info"')
    expect(JSON.parse(done.stdout)).toMatchObject({
      gatewayHost: 'gateway.kyma.local',
      urls: { metadataUrl: 'https://gateway.kyma.local/demo/v1/metadata/services' },
    })
    expect(fake.requests.filter((line) => line.includes('/info'))).toHaveLength(1)
  })
  test('an unknown key algorithm falls back to rsa2048, with a warning', async () => {
    fake.faults.info = (_, response) => {
      json(response, 200, {
        ...fake.goodInfo(),
        certificate: { subject: 'O=o,OU=u,L=l,ST=s,C=DE,CN=demo', 'key-algorithm': 'kyber' },
      })
    }
    const run = await pair()
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toContain('unknown key algorithm')
  })
})

describe('the signing', () => {
  const answers: [string, number, string, number, string, RegExp, 'nothing' | 'pending'][] = [
    [
      'a 400',
      400,
      '{"code":400,"error":"CSR: Invalid organization provided."}',
      6,
      'ERR_REQUEST_REFUSED',
      /Invalid organization.*--resume/s,
      'pending',
    ],
    ['a 403', 403, '{"code":403,"error":"Invalid token."}', 3, 'ERR_TOKEN_REJECTED', /Invalid token/, 'nothing'],
    [
      'a 500',
      500,
      '{"code":500,"error":"Error while creating certificate: x509: no"}',
      7,
      'ERR_SERVICE_FAILED',
      /Error while creating certificate.*--resume/s,
      'pending',
    ],
    ['a 201 that is not JSON', 201, 'done', 7, 'ERR_ANSWER_MALFORMED', /is not a JSON object.*consumed/s, 'nothing'],
    ['a 201 without certificates', 201, '{}', 7, 'ERR_ANSWER_MALFORMED', /lacks crt/, 'nothing'],
    [
      'a 201 with garbage',
      201,
      '{"crt":"AAAA","clientCrt":"BBBB","caCrt":"CCCC"}',
      7,
      'ERR_ANSWER_MALFORMED',
      /does not contain a PEM certificate/,
      'nothing',
    ],
  ]
  test.each(answers)('%s', async (_, status, body, exitCode, code, names, left) => {
    fake.faults.csr = (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    }
    await expectFailure(await pair(), exitCode, code, names, left)
  })
  test("a 201 with another key's certificate never becomes an identity", async () => {
    fake.faults.csr = async (_, response) => {
      json(response, 201, await signedForAnotherKey())
    }
    await expectFailure(await pair(), 4, 'ERR_CERTIFICATE_UNVERIFIED', /not for the key in the CSR/, 'nothing')
  })
  test('a 201 whose chain does not link up never becomes an identity', async () => {
    fake.faults.csr = async (_, response, body) => {
      const { crt, clientCrt } = await fake.sign(body)
      const stranger = base64(await readFile(fake.serverAuthority.certificateFile, 'utf8'))
      expect(crt).not.toBe('')
      json(response, 201, { crt: clientCrt, clientCrt, caCrt: stranger })
    }
    await expectFailure(
      await pair(),
      4,
      'ERR_CERTIFICATE_UNVERIFIED',
      /lacks the issuer of the client certificate/,
      'nothing',
    )
  })
  test('an answer lost after the 201 says that a new token is needed', async () => {
    let signed = 0
    fake.faults.csr = (request, response) => {
      if (signed++ > 0) json(response, 403, { code: 403, error: 'Invalid token.' })
      else request.socket.destroy()
    }
    await expectFailure(await pair(), 8, 'ERR_ANSWER_LOST', /answer was lost.*new token URL/s, 'nothing')
  })
  test('an answer that breaks off within the 201 says that a new token is needed', async () => {
    fake.faults.csr = (request, response) => {
      response.writeHead(201, { 'content-type': 'application/json', 'content-length': '5000' })
      response.write('{"crt":"')
      setTimeout(() => request.socket.destroy(), 50)
    }
    await expectFailure(await pair(), 8, 'ERR_ANSWER_LOST', /new token URL/, 'nothing')
    expect(fake.requests.filter((line) => line.startsWith('POST'))).toHaveLength(1)
  })
  test('a bad gateway in between is tried again, and the pairing goes on', async () => {
    let calls = 0
    fake.faults.csr = async (_, response, body) => {
      if (calls++ === 0)
        response.writeHead(502, { 'content-type': 'text/html' }).end('<html><title>502 Bad Gateway</title></html>')
      else json(response, 201, await fake.sign(body))
    }
    const run = await pair()
    expect(run.code, run.stderr).toBe(0)
  })
})

describe('the gateway', () => {
  test.each(['-tls1_2', '-tls1_3'])('a refused client certificate with %s is reported as such: 4', async (version) => {
    const port = await freePort()
    const gateway = spawn(
      'openssl',
      [
        's_server',
        '-accept',
        `127.0.0.1:${port}`,
        '-cert',
        fake.serverCertificate.certificateFile,
        '-key',
        fake.serverCertificate.keyFile,
        '-CAfile',
        fake.serverAuthority.certificateFile,
        '-Verify',
        '3',
        '-verify_return_error',
        version,
        '-www',
        '-quiet',
      ],
      { stdio: ['pipe', 'ignore', 'ignore'] },
    )
    try {
      await listening(port)
      expect((await pair(['--no-verify'])).code).toBe(0)
      const run = await info([], { KYCONNECT_NODE_PORT: String(port) })
      await expectInfoFailure(run, 4, 'ERR_CLIENT_CERTIFICATE_REFUSED', /refused the client certificate/s)
    } finally {
      await ended(gateway)
    }
  })
  test.each(['No required SSL certificate was sent', 'The SSL certificate error'])(
    "NGINX's page %j is a refused client certificate: 4",
    async (title) => {
      fake.faults.management = (_, response) => {
        response
          .writeHead(400, { 'content-type': 'text/html' })
          .end(`<html>\r\n<head><title>400 ${title}</title></head>\r\n<body><center>${title}</center></body></html>`)
      }
      expect((await pair(['--no-verify'])).code).toBe(0)
      await expectInfoFailure(await info(), 4, 'ERR_CLIENT_CERTIFICATE_REFUSED', new RegExp(title))
    },
  )
  test('a NodePort where nothing listens: 8, with the command that finds the right one', async () => {
    const run = await pair([], { env: { KYCONNECT_NODE_PORT: String(await freePort()) } })
    await expectFailure(run, 8, 'ERR_NETWORK', /gateway\.kyma\.local.*kubectl -n kyma-system get svc/s, 'identity')
  })
  test('URLs of another host are neither stored nor called', async () => {
    fake.faults.management = (_, response) => {
      json(response, 200, {
        ...fake.goodManagement(),
        urls: { metadataUrl: 'https://gateway.evil.example/demo/v1/metadata/services' },
      })
    }
    const run = await pair()
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toMatch(/another host.*gateway\.evil\.example/)
    expect((JSON.parse(run.stdout) as { urls: Record<string, string> }).urls['metadataUrl']).toBe(
      'https://gateway.kyma.local/demo/v1/metadata/services',
    )
  })
  test('nothing that info learns with --insecure is stored', async () => {
    expect((await pair(['--no-verify'])).code).toBe(0)
    const env = { KYCONNECT_HOME: home }
    const insecure = await kyconnect(['info', '--json', '-k'], { env })
    expect(insecure.stderr).toContain("THE SERVER'S CERTIFICATE IS NOT CHECKED")
    expect(insecure.stdout).toContain('renewCertUrl')
    expect(await readFile(join(home, 'demo', 'current', 'identity.json'), 'utf8')).not.toContain('renewCertUrl')
    expect((await kyconnect(['info'], { env })).code).toBe(0)
    expect(await readFile(join(home, 'demo', 'current', 'identity.json'), 'utf8')).toContain('renewCertUrl')
  })
})

describe('identities and profiles on this machine', () => {
  test('another App than expected is refused before a CSR is sent: 2', async () => {
    await expectFailure(await pair(['--app', 'shop']), 2, 'ERR_APP_MISMATCH', /"demo".*"shop"/, 'nothing')
    expect(fake.requests).toHaveLength(1)
  })
  test('an id as common name is taken with a warning, and both names are kept', async () => {
    const id = '4b7b9a0e-6a8f-4a41-9d5a-0c2f6f1f7a11'
    fake.faults.info = (_, response) => {
      json(response, 200, {
        ...fake.goodInfo(),
        certificate: { subject: `O=o,OU=u,L=l,ST=s,C=DE,CN=${id}`, 'key-algorithm': 'rsa2048' },
      })
    }
    const run = await pair(['--app', 'shop'])
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toContain('"warning":{"code":"app-unverifiable"')
    expect(JSON.parse(run.stdout)).toMatchObject({ app: 'shop', commonName: id, profile: 'shop' })
  })
  test('a profile that exists is refused before the token is used: 2, and stays as it is', async () => {
    expect((await pair()).code).toBe(0)
    const before = await readFile(join(home, 'demo', 'current', 'key.pem'))
    fake.requests.length = 0
    await expectFailure(await pair(['--app', 'demo']), 2, 'ERR_PROFILE_EXISTS', /--force/, 'identity')
    expect(fake.requests).toEqual([])
    expect(await readFile(join(home, 'demo', 'current', 'key.pem'))).toEqual(before)
  })
  test('a profile that proves taken only after the CSR information: 2, and the pairing is kept under a free name', async () => {
    expect((await pair()).code).toBe(0)
    const run = await pair()
    const error = jsonError(run)
    expect([run.code, error.code]).toEqual([2, 'ERR_PROFILE_EXISTS'])
    expect(error.hint).toContain('kyconnect pair --resume --profile demo-2')
    const resumed = await kyconnect(['pair', '--resume', '--profile', 'demo-2', '--json'], {
      env: { ...fake.env, KYCONNECT_HOME: home },
    })
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(await readdir(home)).toEqual(['.locks', 'demo', 'demo-2'])
  })
  test('an App whose name cannot be a profile: 2, and the pairing is kept under one that can', async () => {
    fake.faults.info = (_, response) => {
      json(response, 200, {
        ...fake.goodInfo(),
        certificate: { subject: 'O=o,OU=u,L=l,ST=s,C=DE,CN=../my app/1', 'key-algorithm': 'rsa2048' },
      })
    }
    const run = await pair()
    const error = jsonError(run)
    expect([run.code, error.code]).toEqual([2, 'ERR_PROFILE_NAME'])
    const [, name = ''] = /--resume --profile (\S+)/.exec(error.hint) ?? []
    expect(name).toMatch(/^[A-Za-z0-9._-]+$/)
    const resumed = await kyconnect(['pair', '--resume', '--profile', name, '--json'], {
      env: { ...fake.env, KYCONNECT_HOME: home },
    })
    expect(resumed.code, resumed.stderr).toBe(0)
  })
  test('a profile name cannot escape the home', async () => {
    for (const name of ['../x', 'a/b', '.', '..', '-x', '']) {
      const run = await pair([`--profile=${name}`])
      expect([name, run.code]).toEqual([name, 2])
    }
    expect(fake.requests).toEqual([])
  })
  test('with --force the old identity serves until the new one is complete, and can be put back', async () => {
    expect((await pair()).code).toBe(0)
    const key = join(home, 'demo', 'current', 'key.pem')
    const before = await readFile(key)
    fake.faults.csr = (_, response) => {
      json(response, 500, { code: 500, error: 'no' })
    }
    expect((await pair(['--force'])).code).toBe(7)
    expect(await readFile(key)).toEqual(before)
    fake.faults = {}
    expect((await pair(['--force'])).code).toBe(0)
    expect(await readFile(key)).not.toEqual(before)
    const restored = await kyconnect(['pair', '--rollback'], { env: { KYCONNECT_HOME: home } })
    expect([restored.code, restored.stderr]).toEqual([
      0,
      expect.stringMatching(/Restored the identity of the App "demo"/),
    ])
    expect(await readFile(key)).toEqual(before)
  })
  test('a profile that turns out to be taken can be replaced all the same: --resume --as --force', async () => {
    expect((await pair()).code).toBe(0)
    const before = await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')
    const late = await pair()
    expect([late.code, jsonError(late).code]).toEqual([2, 'ERR_PROFILE_EXISTS'])
    const command =
      /kyconnect (pair --resume --profile \S+ --as demo --force)/.exec(jsonError(late).hint)?.[1] ?? 'none'
    const done = await kyconnect([...command.split(' '), '--json'], { env: { ...fake.env, KYCONNECT_HOME: home } })
    expect(done.code, done.stderr).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject({ profile: 'demo', app: 'demo' })
    expect(await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')).not.toBe(before)
    expect((await readdir(home)).sort()).toEqual(['.locks', 'demo'])
  })
  test('a pairing that began with --insecure stays marked when it is resumed without', async () => {
    fake.faults.csr = (_, response) => {
      json(response, 500, { code: 500, error: 'Internal error.' })
    }
    expect((await pair(['-k'])).code).toBe(7)
    fake.faults = {}
    const done = await kyconnect(['pair', '--resume', '--json'], { env: { ...fake.env, KYCONNECT_HOME: home } })
    expect(done.code, done.stderr).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject({ insecure: true })
  })
  test('a replacement says that it is one, and warns when it is for another App', async () => {
    expect((await pair()).code).toBe(0)
    fake.faults.info = (_, response) => {
      const certificate = { subject: subjectOf('shop'), extensions: '', 'key-algorithm': 'rsa2048' }
      json(response, 200, { ...fake.goodInfo(), certificate })
    }
    const done = await kyconnect(['pair', '--profile', 'demo', '--force', '--url', '-', '--no-verify'], {
      env: { ...fake.env, KYCONNECT_HOME: home },
      input: fake.tokenUrl,
    })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain('warning: the identity "demo" is for the App "demo", the new one is for "shop"')
    expect(done.stderr).toContain('kyconnect pair --rollback --profile demo restores it')
  })
  test('an identity of another domain is replaced only with --yes', async () => {
    expect((await pair()).code).toBe(0)
    const other = fake.tokenUrl.replace('connector-service.kyma.local', 'connector-service.other.local')
    const env = { KYCONNECT_TOKEN_URL: other }
    await expectFailure(
      await pair(['--app', 'demo', '--force'], { env }),
      2,
      'ERR_CONFIRMATION_NEEDED',
      /--yes/,
      'identity',
    )
  })
  test('two pairings at once: the second says who holds the profile, 9, and its token is not used', async () => {
    fake.faults.info = async (_, response) => {
      await new Promise((resolve) => setTimeout(resolve, 4500))
      json(response, 200, fake.goodInfo())
    }
    const first = pair(['--app', 'demo', '--timeout', '20'])
    await until(() => fake.requests.length === 1)
    const second = await pair(['--app', 'demo'])
    expect(jsonError(second)).toMatchObject({ code: 'ERR_LOCK_HELD', exitCode: 9 })
    expect(second.code).toBe(9)
    expect(jsonError(second).message).toMatch(/process \d+ on/)
    expect(fake.requests).toHaveLength(1)
    expect((await first).code).toBe(0)
  })
  test('a home that others can write to is refused: 9', async () => {
    await mkdir(home)
    await chmod(home, 0o777)
    await expectFailure(await pair(), 9, 'ERR_HOME_UNSAFE', /too open.*chmod go-w/s, 'nothing')
    expect(fake.requests).toEqual([])
  })
  test('no identity: 5; several and none named: 2, listing them', async () => {
    const none = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home } })
    expect([none.code, jsonError(none).code]).toEqual([5, 'ERR_NO_IDENTITY'])
    expect((await pair(['--profile', 'one'])).code).toBe(0)
    expect((await pair(['--profile', 'two'])).code).toBe(0)
    const several = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home } })
    expect([several.code, jsonError(several).message]).toEqual([2, 'several identities are stored: one, two'])
    const named = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home, KYCONNECT_PROFILE: 'two' } })
    expect(named.code, named.stderr).toBe(0)
  })
})

describe('Ctrl-C', () => {
  const steps = [
    ['the CSR information', 'info', 'nothing'],
    ['the signing', 'csr', 'pending'],
    ['the management info', 'management', 'identity'],
  ] as const
  test.each(steps)('while waiting for %s ends with 130, and loses nothing', async (_, step, left) => {
    for (const [signal, exitCode, code] of [
      ['SIGINT', 130, 'ERR_INTERRUPTED'],
      ['SIGTERM', 143, 'ERR_TERMINATED'],
    ] as const) {
      home = join(folder.path, `home-${homes++}`)
      const arrived = new Promise<void>((resolve) => {
        fake.faults = {
          [step]: () => {
            resolve()
          },
        }
      })
      const running = start(process.execPath, [program, 'pair', '--json'], {
        env: { ...fake.env, KYCONNECT_HOME: home, KYCONNECT_TOKEN_URL: fake.tokenUrl },
      })
      await arrived
      running.child.kill(signal)
      await expectFailure(await running.end, exitCode, code, /interrupted|terminated/, left)
    }
  })

  test('while the token URL is waited for on standard input ends with 130', async () => {
    const child = spawn(process.execPath, [program, 'pair', '--url', '-', '--verbose'], {
      env: plainEnvironment({ ...fake.env, KYCONNECT_HOME: home }),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const ended = once(child, 'exit')
    // Nothing tells that it reads: what it does on a signal before that is the system's to say, and is not 130 by its own exit.
    await new Promise((resolve) => setTimeout(resolve, 1000))
    child.kill('SIGINT')
    expect(await ended).toEqual([130, null])
    child.stdin.destroy()
  })

  test('while a lock is waited for, or a pipe that no process writes to, ends with 130', async () => {
    fake.faults.info = () => undefined
    const holder = start(process.execPath, [program, 'pair', '--app', 'demo', '--json'], {
      env: { ...fake.env, KYCONNECT_HOME: home, KYCONNECT_TOKEN_URL: fake.tokenUrl },
    })
    await until(() => fake.requests.length === 1)
    const waiting = start(process.execPath, [program, 'pair', '--app', 'demo', '--json'], {
      env: { ...fake.env, KYCONNECT_HOME: home, KYCONNECT_TOKEN_URL: fake.tokenUrl },
    })
    await new Promise((resolve) => setTimeout(resolve, 1200))
    waiting.child.kill('SIGINT')
    const done = await waiting.end
    expect([done.code, jsonError(done).code]).toEqual([130, 'ERR_INTERRUPTED'])
    holder.child.kill('SIGTERM')
    expect((await holder.end).code).toBe(143)

    const pipe = join(folder.path, 'silent-pipe')
    await run('mkfifo', [pipe])
    for (const args of [
      ['--ca-file', pipe],
      ['--key-file', pipe],
    ]) {
      const stuck = start(process.execPath, [program, 'pair', '--json', ...args], {
        env: { ...fake.env, KYCONNECT_HOME: home, KYCONNECT_TOKEN_URL: fake.tokenUrl },
      })
      await new Promise((resolve) => setTimeout(resolve, 1500))
      stuck.child.kill('SIGINT')
      const ended = await stuck.end
      expect([ended.code, jsonError(ended).code], ended.stderr).toEqual([130, 'ERR_INTERRUPTED'])
    }
  })
})

/** Uses a token up, as another client would. */
async function fetchOnce(url: string, sandbox: SandboxProcess): Promise<void> {
  const ca = await readFile(sandbox.ready.caFile, 'utf8')
  const { hostname, port, pathname, search } = new URL(url)
  await new Promise((resolve, reject) => {
    https
      .get(
        {
          host: '127.0.0.1',
          port,
          path: pathname + search,
          servername: hostname,
          headers: { host: hostname },
          ca,
          agent: false,
        },
        (answer) => answer.resume().on('end', resolve),
      )
      .on('error', reject)
  })
}

async function signedForAnotherKey(): Promise<Record<string, string>> {
  const csr = join(fake.folder, 'other.csr')
  await openssl(
    'req',
    '-new',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    join(fake.folder, 'other.key'),
    '-out',
    csr,
    '-subj',
    '/C=DE/ST=Waldorf/L=Waldorf/O=Organization/OU=OrgUnit/CN=demo',
  )
  return fake.sign(JSON.stringify({ csr: base64(await readFile(csr, 'utf8')) }))
}

async function serverWith(
  names: readonly string[],
  dates?: readonly string[],
): Promise<{ port: number; stop: () => Promise<void> }> {
  const { cert, key } = await makeServerCertificate(fake.folder, fake.serverAuthority, names, dates)
  const server = https.createServer({ cert, key }, (_, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
      }),
  }
}

function pairOn(port: number): Promise<Run> {
  return pair([], { env: { KYCONNECT_TOKEN_URL: fake.tokenUrl.replace(`:${fake.connectorPort}`, `:${port}`) } })
}

async function withServer(onSocket: (socket: Socket) => unknown, use: (port: number) => Promise<void>): Promise<void> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  const port = await portOf(server)
  try {
    await use(port)
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function freePort(): Promise<number> {
  const server = createServer()
  const port = await portOf(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Waits until /proc lists a listener: connecting to see would be a connection that s_server has to deal with. */
async function listening(port: number): Promise<void> {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`
  await until(async () => (await readFile('/proc/net/tcp', 'utf8')).includes(address))
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 20) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('the condition did not hold within 10 s')
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
