import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, json, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, plainEnvironment, program, type Run, start } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''
let homes = 0

beforeAll(async () => {
  folder = await temporaryFolder('revoke')
})
afterAll(() => folder.remove())
beforeEach(() => {
  home = join(folder.path, `home-${homes++}`)
})

interface Stored {
  readonly revokedAt: string | null
  readonly fingerprint: string
  readonly urls: Record<string, string>
}

const storedFile = (): string => join(home, 'demo', 'current', 'identity.json')
const stored = async (): Promise<Stored> => JSON.parse(await readFile(storedFile(), 'utf8')) as Stored
async function change(fields: (present: Stored) => object): Promise<void> {
  const present = await stored()
  await writeFile(storedFile(), JSON.stringify({ ...present, ...fields(present) }))
}

describe('against the sandbox', () => {
  let sandbox: SandboxProcess
  beforeAll(async () => {
    sandbox = await startSandboxProcess()
  })
  afterAll(() => sandbox.stop())
  beforeEach(async () => {
    const paired = await go(['pair', '--url', '-'], await sandbox.tokenUrl())
    expect(paired.code, paired.stderr).toBe(0)
  })

  function go(args: readonly string[], input = ''): Promise<Run> {
    return kyconnect(args, { env: { ...sandbox.ready.env, KUBECONFIG: '', KYCONNECT_HOME: home }, input })
  }

  /** Runs the program on a terminal, and types an answer when a text appears. @returns all that was drawn, and the exit code */
  async function onTerminal(
    args: readonly string[],
    typing: readonly [RegExp, string][],
  ): Promise<{ screen: string; code: number | null }> {
    const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ')
    const child = spawn('script', ['-qec', `stty cols 200; ${command}`, '/dev/null'], {
      env: plainEnvironment({ ...sandbox.ready.env, KUBECONFIG: '', KYCONNECT_HOME: home, TERM: 'xterm-256color' }),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
    const left = [...typing]
    let screen = ''
    child.stdout.on('data', (chunk: Buffer) => {
      screen += chunk.toString('utf8')
      const [next] = left
      if (next?.[0].test(screen) !== true) return
      left.shift()
      child.stdin.write(next[1])
    })
    const [code] = (await once(child, 'close')) as [number | null]
    clearTimeout(timer)
    return { screen, code }
  }

  test('a revoked certificate works on, is marked, and is renewed neither here nor by the service', async () => {
    const done = await go(['revoke', 'demo', '--yes'])
    expect([done.code, done.stdout], done.stderr).toEqual([0, ''])
    expect(done.stderr).toMatch(
      /works until .*only its renewal is refused[^]*kyconnect remove demo[^]*kyconnect pair --force/,
    )
    expect((await stored()).revokedAt).not.toBeNull()
    expect((await go(['info'])).code).toBe(0)
    expect((await go(['call', 'metadata'])).code).toBe(0)
    const refused = await go(['renew', '--json'])
    expect([refused.code, jsonError(refused).code]).toEqual([4, 'ERR_CERTIFICATE_REVOKED'])
    // Without our mark it is the service that refuses, and the mark comes back.
    await change(() => ({ revokedAt: null }))
    const again = await go(['renew', '--json'])
    expect([again.code, jsonError(again).code]).toEqual([4, 'ERR_CERTIFICATE_REVOKED'])
    expect((await stored()).revokedAt).not.toBeNull()
  })

  test('revoking twice says since when it has been marked, sends it again, and keeps the first date', async () => {
    expect((await go(['revoke', '--yes'])).code).toBe(0)
    const { revokedAt, fingerprint } = await stored()
    const done = await go(['revoke', '--yes'])
    const since = (revokedAt ?? '').replace(/\.\d+/, '')
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining(`marked as revoked since ${since}`)])
    expect(done.stderr).toContain('Revocation: accepted')
    const document = JSON.parse((await go(['revoke', '--yes', '--json'])).stdout) as unknown
    expect(document).toMatchObject({ revoked: 'demo', app: 'demo', fingerprint, revokedBefore: true, unrevoked: null })
    expect((await stored()).revokedAt).toBe(revokedAt)
  })

  test('without a terminal it needs --yes', async () => {
    for (const [args, why] of [
      [['revoke'], 'there is no terminal to ask on'],
      [['revoke', '--json'], '--json asks no questions'],
    ] as const) {
      const done = await go(args)
      expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('kyconnect revoke demo --yes')])
      expect(done.stderr).toContain(`was not revoked: ${why}`)
    }
    expect((await stored()).revokedAt).toBeNull()
  })

  test('on a terminal it asks for the name of the App until it is typed', async () => {
    const { screen, code } = await onTerminal(
      ['revoke'],
      [
        [/Type the name of the App, demo/, 'dem\r'],
        [/type demo to go on/, 'o\r'],
      ],
    )
    expect([code, screen]).toEqual([0, expect.stringContaining('Revoked the certificate of the App "demo"')])
    expect((await stored()).revokedAt).not.toBeNull()
  })

  test('Ctrl-C at the question revokes nothing', async () => {
    const { code } = await onTerminal(['revoke'], [[/Type the name of the App, demo/, '\u0003']])
    expect([code, (await stored()).revokedAt]).toEqual([130, null])
  })

  test('the certificate before it is not revoked: the report says so, and rollback restores it', async () => {
    const before = (await stored()).fingerprint
    expect((await go(['renew'])).code).toBe(0)
    const done = await go(['revoke', '--yes', '--json'])
    expect(JSON.parse(done.stdout)).toMatchObject({ unrevoked: { fingerprint: before } })
    expect((await go(['rollback'])).code).toBe(0)
    expect(await stored()).toMatchObject({ fingerprint: before, revokedAt: null })
    expect((await go(['renew'])).code).toBe(0)
  })

  test('a profile that does not exist, and two profiles, are refused', async () => {
    expect((await go(['revoke', 'shop', '--yes'])).code).toBe(5)
    expect((await go(['revoke', 'demo', '--profile', 'shop', '--yes'])).code).toBe(2)
  })
})

describe('when the service does not do as usual', () => {
  let fake: FakeKyma
  beforeAll(async () => {
    fake = await startFakeKyma()
  })
  afterAll(() => fake.stop())
  beforeEach(async () => {
    const paired = await go(['pair', '--url', '-'], fake.tokenUrl)
    expect(paired.code, paired.stderr).toBe(0)
    fake.requests.length = 0
  })
  afterEach(() => {
    fake.faults = {}
  })

  const env = (): Record<string, string> => ({ ...fake.env, KUBECONFIG: '', KYCONNECT_HOME: home })
  const go = (args: readonly string[], input = ''): Promise<Run> => kyconnect(args, { env: env(), input })
  const revoke = (...args: readonly string[]): Promise<Run> => go(['revoke', '--yes', '--json', ...args])
  const revocations = (): number => fake.requests.filter((line) => line.endsWith('/revocations')).length

  test('an answer that is lost marks nothing, ends with 8, and the hint is to run it again', async () => {
    fake.faults.revocation = (request) => {
      request.socket.destroy()
    }
    const done = await revoke()
    expect([done.code, jsonError(done).hint]).toEqual([
      8,
      expect.stringContaining('run it again: kyconnect revoke demo'),
    ])
    expect((await stored()).revokedAt).toBeNull()
    fake.faults = {}
    expect((await revoke()).code).toBe(0)
    expect((await stored()).revokedAt).not.toBeNull()
  })

  test('an expired certificate is not sent', async () => {
    await change(() => ({ notAfter: '2026-01-01T00:00:00.000Z' }))
    const done = await revoke()
    expect([done.code, jsonError(done).code]).toEqual([4, 'ERR_CERTIFICATE_EXPIRED'])
    expect(fake.requests).toEqual([])
  })

  test('a certificate that the gateway refuses is not marked', async () => {
    fake.faults.revocation = (_, response) => {
      response.writeHead(400, { 'content-type': 'text/html' }).end('<html>The SSL certificate error</html>')
    }
    const done = await revoke()
    expect([done.code, jsonError(done).code]).toEqual([4, 'ERR_CLIENT_CERTIFICATE_REFUSED'])
    expect((await stored()).revokedAt).toBeNull()
  })

  test('the URL is the one that the gateway names now', async () => {
    await change(({ urls }) => ({ urls: { ...urls, revokeCertUrl: 'https://gateway.kyma.local/old/revocations' } }))
    expect((await revoke()).code).toBe(0)
    expect(fake.requests.at(-1)).toBe('POST /v1/applications/certificates/revocations')
  })

  test('the stored URL is called when the management info cannot be used', async () => {
    await change(({ urls }) => ({ urls: { ...urls, revokeCertUrl: 'https://gateway.kyma.local/old/revocations' } }))
    fake.faults.management = (_, response) => {
      json(response, 500, { code: 500, error: 'Internal error.' })
    }
    const done = await revoke()
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('"code":"stored-url-used"')])
    expect(fake.requests.at(-1)).toBe('POST /old/revocations')
  })

  test('a URL on another host is not called', async () => {
    fake.faults.management = (_, response) => {
      const urls = { revokeCertUrl: 'https://elsewhere.local/v1/applications/certificates/revocations' }
      json(response, 200, { ...fake.goodManagement(), urls })
    }
    const done = await revoke()
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('"code":"foreign-hosts-ignored"')])
    expect(fake.requests.at(-1)).toBe('POST /v1/applications/certificates/revocations')
  })

  test('without any URL there is nothing to call', async () => {
    await change(({ urls }) => ({ urls: { infoUrl: urls['infoUrl'] ?? '' } }))
    fake.faults.management = (_, response) => {
      json(response, 200, { ...fake.goodManagement(), urls: {} })
    }
    const done = await revoke()
    expect([done.code, jsonError(done).hint]).toEqual([5, expect.stringContaining('administrator')])
    expect(revocations()).toBe(0)
  })

  test('an identity that another process paired with another App meanwhile is not revoked', async () => {
    // Another process holds the lock while it pairs anew; it is released before the patience of the revocation ends.
    const renewing = new Promise<void>((resolve) => {
      fake.faults.renewal = async (_, response, body) => {
        resolve()
        await new Promise((later) => setTimeout(later, 1500))
        await change(() => ({ commonName: 'shop', app: 'shop' }))
        json(response, 500, { code: 500, error: 'Internal error.', body: body.length })
      }
    })
    const holder = start(process.execPath, [program, 'renew'], { env: env() })
    await renewing
    const done = await revoke()
    await holder.end
    expect([done.code, jsonError(done).code], done.stderr).toEqual([9, 'ERR_LOCK_HELD'])
    expect(revocations()).toBe(0)
  })
})
