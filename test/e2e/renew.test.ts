import { readdir, readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeAuthority, openssl, temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, json, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, root, type Run, type RunOptions, start } from '../support/kyconnect.js'

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''
let homes = 0

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('renew')])
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})
beforeEach(async () => {
  fake.faults = {}
  home = join(folder.path, `home-${homes++}`)
  await pair('demo')
  fake.requests.length = 0
})

const day = 86_400_000

async function pair(profile: string): Promise<void> {
  const paired = await command(['pair', '--url', '-', '--profile', profile], { input: fake.tokenUrl })
  expect(paired.code, paired.stderr).toBe(0)
}

function command(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return kyconnect(args, { ...options, env: environment(options.env) })
}

function environment(more: RunOptions['env'] = {}): Record<string, string | undefined> {
  return { ...fake.env, KYCONNECT_HOME: home, ...more }
}

/** A run whose wall clock is ahead, and whose monotonic clock is fast. */
function clock(shiftMs: number, speed = 1): Record<string, string> {
  return {
    NODE_OPTIONS: `--require ${join(root, 'test', 'support', 'clock.cjs')}`,
    KYCONNECT_TEST_SHIFT_MS: String(shiftMs),
    KYCONNECT_TEST_SPEED: String(speed),
  }
}

interface Stored {
  readonly fingerprint: string
  readonly revokedAt: string | null
  readonly rejectedAt: string | null
  readonly hookPending: boolean
}

async function stored(profile = 'demo'): Promise<Stored & { key: string }> {
  const current = join(home, profile, 'current')
  const [json, key] = await Promise.all(
    ['identity.json', 'key.pem'].map((name) => readFile(join(current, name), 'utf8')),
  )
  return { ...(JSON.parse(json ?? '') as Stored), key: key ?? '' }
}

function renewals(): number {
  return fake.requests.filter((line) => line.endsWith('/renewals')).length
}

/** Whether a request comes with a certificate other than this one. */
function isOther(request: IncomingMessage, fingerprint: string): boolean {
  const { socket } = request
  const seen = socket instanceof TLSSocket ? socket.getPeerCertificate().fingerprint256 : ''
  return seen.replaceAll(':', '').toLowerCase() !== fingerprint
}

describe('renew', () => {
  test('replaces key and certificate, and keeps the ones before for a rollback', async () => {
    const before = await stored()
    const run = await command(['renew'])
    expect(run.code, run.stderr).toBe(0)
    expect(run.stdout).toMatch(/^demo: renewed, valid until \d{4}-/)
    const after = await stored()
    expect(after.fingerprint).not.toBe(before.fingerprint)
    expect(after.key).not.toBe(before.key)
    expect(fake.requests).toEqual([
      'GET /v1/applications/management/info',
      'POST /v1/applications/certificates/renewals',
      'GET /v1/applications/management/info',
    ])
    expect((await command(['pair', '--rollback'])).code).toBe(0)
    expect(await stored()).toEqual(before)
  })

  test('keeps the key with --reuse-key', async () => {
    const before = await stored()
    expect((await command(['renew', '--reuse-key'])).code).toBe(0)
    const after = await stored()
    expect(after.fingerprint).not.toBe(before.fingerprint)
    expect(after.key).toBe(before.key)
  })

  test('generates a key of the algorithm that is asked for, else of the announced one', async () => {
    expect((await command(['renew', '--key-algorithm', 'rsa3072'])).code).toBe(0)
    expect(await openssl('pkey', '-in', join(home, 'demo', 'current', 'key.pem'), '-text', '-noout')).toContain('3072')
    expect((await command(['renew'])).code).toBe(0)
    expect(await openssl('pkey', '-in', join(home, 'demo', 'current', 'key.pem'), '-text', '-noout')).toContain('2048')
  })

  test('stores the URLs as they are now', async () => {
    fake.faults = {
      management: (_, response) => {
        const answer = fake.goodManagement()
        json(response, 200, {
          ...answer,
          urls: { ...(answer['urls'] as object), eventsUrl: 'https://gateway.kyma.local/demo/v2/events' },
        })
      },
    }
    expect((await command(['renew'])).code).toBe(0)
    expect(await readFile(join(home, 'demo', 'current', 'identity.json'), 'utf8')).toContain('/demo/v2/events')
  })

  test('keeps a pairing that is pending under the same profile', async () => {
    fake.faults = {
      csr: (_, response) => {
        json(response, 500, {})
      },
    }
    const failed = await command(['pair', '--force', '--profile', 'demo', '--url', '-'], { input: fake.tokenUrl })
    expect(failed.code).toBe(7)
    fake.faults = {}
    expect((await command(['renew'])).code).toBe(0)
    expect(await readdir(join(home, 'demo', 'pending'))).toContain('key.pem')
    expect((await command(['pair', '--resume', '--force'])).code).toBe(0)
  })
})

describe('--if-due', () => {
  test('sends nothing and prints nothing while nothing is due', async () => {
    expect(await command(['renew', '--all', '--if-due'])).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(fake.requests).toEqual([])
  })

  test('renews what is due by the wall clock of the moment, one line for each', async () => {
    await pair('other')
    fake.requests.length = 0
    const run = await command(['renew', '--all', '--if-due'], { env: clock(62 * day) })
    expect(run.code, run.stderr).toBe(0)
    expect(run.stdout.split('\n')).toEqual([
      expect.stringMatching(/^demo: renewed/),
      expect.stringMatching(/^other: renewed/),
      '',
    ])
    expect(renewals()).toBe(2)
  })

  test('renews earlier with --expires-in, but not in the first twentieth of the lifetime', async () => {
    const early = ['renew', '--if-due', '--expires-in', '80d']
    expect((await command(early, { env: clock(4 * day) })).code).toBe(0)
    expect(renewals()).toBe(0)
    expect((await command(early, { env: clock(13 * day) })).code).toBe(0)
    expect(renewals()).toBe(1)
  })

  test.each([
    ['a day behind', -day],
    ['a day ahead', day],
  ])('works with a clock that is %s', async (_, shiftMs) => {
    expect(await command(['renew', '--all', '--if-due'], { env: clock(shiftMs) })).toMatchObject({
      code: 0,
      stdout: '',
    })
    const run = await command(['renew'], { env: clock(shiftMs) })
    expect(run.code, run.stderr).toBe(0)
  })
})

test('a clock that is fast does not make timers, daemons and programs renew one certificate after another', async () => {
  const timer = (days: number): Promise<Run> =>
    command(['renew', '--all', '--if-due', '--json'], { env: clock(days * day) })
  for (const days of [80, 80.1, 81, 84.5]) expect((await timer(days)).code).toBe(0)
  expect(renewals()).toBe(1)
  expect((await timer(84.7)).code).toBe(0)
  expect(renewals()).toBe(2)
})

describe('of twenty that renew one identity at once', () => {
  test('one does, and the others say that it is renewed already', async () => {
    const limit = 200_000
    const runs = await Promise.all(
      Array.from({ length: 20 }, () => command(['renew', '--json', '--if-due'], { env: clock(62 * day), limit })),
    )
    expect(runs.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(runs.map(() => '0 '))
    const outcomes = runs.map(
      ({ stdout }) => (JSON.parse(stdout) as { results: { outcome: string }[] }).results[0]?.outcome,
    )
    expect(outcomes.filter((outcome) => outcome === 'renewed')).toHaveLength(1)
    expect(renewals()).toBe(1)
  }, 300_000)
})

describe('the present identity stays in use', () => {
  /** Runs renew, which must fail and change nothing. */
  async function failing(
    args: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<ReturnType<typeof jsonError>> {
    const before = await stored()
    const run = await command(['renew', '--json', ...args], { env })
    const error = jsonError(run)
    const isRejection = ['ERR_CERTIFICATE_UNVERIFIED', 'ERR_CLIENT_CERTIFICATE_REFUSED'].includes(error.code)
    const { rejectedAt, ...after } = await stored()
    expect({ ...after, rejectedAt: null }).toEqual(before)
    expect(rejectedAt !== null).toBe(isRejection)
    expect(await readdir(join(home, 'demo', 'versions'))).toHaveLength(1)
    expect(run.stderr).not.toMatch(/token/i)
    fake.faults = {}
    expect((await command(['info'])).code).toBe(0)
    return error
  }

  test('when the answer to the signing is lost; the next run renews', async () => {
    fake.faults = {
      renewal: (_, response) => {
        response.writeHead(201, { 'content-type': 'application/json', 'content-length': '9999' })
        response.write('{"crt":"')
        setTimeout(() => response.destroy(), 50)
      },
    }
    const error = await failing()
    expect(error).toMatchObject({ code: 'ERR_ANSWER_LOST', exitCode: 8 })
    expect(error.hint).toContain('kyconnect renew --profile demo')
    expect((await command(['renew'])).code).toBe(0)
  })

  test('when the certificate is for another key', async () => {
    fake.faults = {
      renewal: async (_, response) => {
        const csr = await openssl(
          'req',
          '-new',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-keyout',
          '/dev/null',
          '-subj',
          '/O=Organization/OU=OrgUnit/L=Waldorf/ST=Waldorf/C=DE/CN=demo',
        )
        json(response, 201, await fake.sign(JSON.stringify({ csr: Buffer.from(csr).toString('base64') })))
      },
    }
    expect(await failing()).toMatchObject({ code: 'ERR_CERTIFICATE_UNVERIFIED', exitCode: 4 })
  })

  test('when the chain does not link', async () => {
    const foreign = await makeAuthority(fake.folder, `foreign-${homes}`, 'rsa')
    fake.faults = {
      renewal: async (_, response, body) => {
        const signed = await fake.sign(body, foreign)
        const { caCrt } = await fake.sign(body)
        json(response, 201, { ...signed, crt: signed['clientCrt'], caCrt })
      },
    }
    expect(await failing()).toMatchObject({ code: 'ERR_CERTIFICATE_UNVERIFIED', exitCode: 4 })
  })

  test('when the new certificate is valid no longer', async () => {
    fake.faults = {
      renewal: async (_, response, body) => {
        json(response, 201, await fake.sign(body, fake.clientAuthority, ['-days', '91']))
      },
    }
    expect(await failing()).toMatchObject({ code: 'ERR_CERTIFICATE_UNVERIFIED', exitCode: 4 })
  })

  test('and after a rejected certificate a timer lets a twentieth of the lifetime pass, and a person need not wait', async () => {
    fake.faults = {
      renewal: async (_, response, body) => {
        json(response, 201, await fake.sign(body, fake.clientAuthority, ['-days', '91']))
      },
    }
    const timer = async (days: number): Promise<Run> =>
      command(['renew', '--all', '--if-due', '--json'], { env: clock(days * day) })
    expect(jsonError(await timer(62))).toMatchObject({ code: 'ERR_CERTIFICATE_UNVERIFIED', exitCode: 4 })
    for (const days of [62.1, 63, 66.5])
      expect(jsonError(await timer(days))).toMatchObject({ code: 'ERR_RENEWAL_WAITS', exitCode: 4 })
    expect(renewals()).toBe(1)
    const status = await command(['status', '--check'], { env: clock(63 * day) })
    expect([status.code, status.stdout]).toEqual([10, expect.stringContaining('due, new certificate rejected')])
    expect(jsonError(await timer(66.7))).toMatchObject({ code: 'ERR_CERTIFICATE_UNVERIFIED' })
    expect(renewals()).toBe(2)

    fake.faults = {}
    expect((await command(['renew'], { env: clock(66.8 * day) })).code).toBe(0)
    expect((await stored()).rejectedAt).toBeNull()
  })

  test('and a full disk is noticed before the service signs anything', async () => {
    const limits = `ulimit -f 32; exec "${process.execPath}" "${join(root, 'bin', 'kyconnect.js')}" renew --json`
    const run = await start('bash', ['-c', `trap '' XFSZ; ${limits}`], { env: environment() }).end
    expect(jsonError(run)).toMatchObject({ code: 'ERR_FILES', exitCode: 9 })
    expect(renewals()).toBe(0)
    expect(await readdir(join(home, 'demo'))).not.toContainEqual(expect.stringMatching(/^reserved/))
  })

  test('when the gateway refuses the new certificate for longer than a minute', async () => {
    const { fingerprint } = await stored()
    let refused = 0
    fake.faults = {
      management: (request, response) => {
        if (!isOther(request, fingerprint)) json(response, 200, fake.goodManagement())
        else {
          refused++
          refuseCertificate(response)
        }
      },
    }
    const error = await failing([], clock(0, 20))
    expect(error).toMatchObject({ code: 'ERR_CLIENT_CERTIFICATE_REFUSED', exitCode: 4 })
    expect(refused).toBeGreaterThan(1)
  })

  test('when the network is gone while the new certificate is proven', async () => {
    const { fingerprint } = await stored()
    fake.faults = {
      management: (request, response) => {
        if (!isOther(request, fingerprint)) json(response, 200, fake.goodManagement())
        else response.socket?.destroy()
      },
    }
    expect(await failing([], clock(0, 20))).toMatchObject({ code: 'ERR_NETWORK', exitCode: 8 })
  })

  test('when the announced subject is for another App', async () => {
    fake.faults = {
      management: (_, response) => {
        const certificate = { subject: 'O=Organization,CN=other', 'key-algorithm': 'rsa2048' }
        json(response, 200, { ...fake.goodManagement(), certificate })
      },
    }
    expect(await failing()).toMatchObject({ code: 'ERR_ANSWER_MALFORMED', exitCode: 7 })
    expect(renewals()).toBe(0)
  })

  test('when an ingress refuses the request; that is not a revocation', async () => {
    fake.faults = {
      renewal: (_, response) => {
        response.writeHead(403, { 'content-type': 'text/html' })
        response.end('<html><head><title>403 Forbidden: revoked</title></head></html>')
      },
    }
    expect(await failing()).toMatchObject({ code: 'ERR_REQUEST_REFUSED', exitCode: 6 })
  })

  test('when Ctrl-C comes while the service signs', async () => {
    let asked = (): void => undefined
    const request = new Promise<void>((resolve) => (asked = resolve))
    fake.faults = {
      renewal: () => {
        asked()
      },
    }
    const before = await stored()
    const running = start(process.execPath, [join(root, 'bin', 'kyconnect.js'), 'renew'], { env: environment() })
    await request
    running.child.kill('SIGINT')
    expect((await running.end).code).toBe(130)
    expect(await stored()).toEqual(before)
    fake.faults = {}
    expect((await command(['renew'])).code).toBe(0)
  })
})

test('a gateway whose clock lags is asked again until it accepts the new certificate', async () => {
  const { fingerprint } = await stored()
  let refusals = 0
  fake.faults = {
    management: (request, response) => {
      if (isOther(request, fingerprint) && ++refusals <= 2) refuseCertificate(response)
      else json(response, 200, fake.goodManagement())
    },
  }
  const run = await command(['renew'])
  expect(run.code, run.stderr).toBe(0)
  expect(run.stderr).toContain('trying again for up to 60 s')
  expect(refusals).toBe(3)
})

describe('a certificate that the service says is revoked', () => {
  test('is marked, and not tried again', async () => {
    fake.faults = {
      renewal: (_, response) => {
        json(response, 403, { code: 403, error: 'Certificate has been revoked.' })
      },
    }
    const first = jsonError(await command(['renew', '--json']))
    expect(first).toMatchObject({ code: 'ERR_CERTIFICATE_REVOKED', exitCode: 4 })
    expect(first.hint).toContain('kyconnect pair --force --profile demo')
    expect((await stored()).revokedAt).not.toBeNull()
    fake.requests.length = 0
    expect(jsonError(await command(['renew', '--json']))).toMatchObject({
      code: 'ERR_CERTIFICATE_REVOKED',
      exitCode: 4,
    })
    expect(fake.requests).toEqual([])
    expect((await command(['info'])).code).toBe(0)
  })
})

describe('an expired certificate', () => {
  test('costs no request, and the other identities are renewed all the same', async () => {
    await pair('other')
    const signFor = (days: string): void => {
      fake.faults = {
        renewal: async (_, response, body) => {
          json(response, 201, await fake.sign(body, fake.clientAuthority, ['-days', days]))
        },
      }
    }
    signFor('400')
    expect((await command(['renew', '--profile', 'other'])).code).toBe(0)
    signFor('500')
    fake.requests.length = 0
    const run = await command(['renew', '--all'], { env: clock(93 * day) })
    expect(run.code).toBe(4)
    expect(run.stdout).toMatch(/^other: renewed/)
    expect(run.stderr).toMatch(/demo: not renewed: the certificate of "demo" expired on/)
    expect(run.stderr).toContain('kyconnect pair --force --profile demo --url -')
    expect(renewals()).toBe(1)
  })
})

describe('several failures', () => {
  test('are one error: how many of how many, one hint for each kind, and the exit code of the worst', async () => {
    await pair('b')
    await pair('c')
    await pair('d')
    const metadata = join(home, 'd', 'current', 'identity.json')
    await writeFile(
      metadata,
      (await readFile(metadata, 'utf8')).replace(/"revokedAt": null/, '"revokedAt": "2026-11-01T00:00:00Z"'),
    )
    await writeFile(join(home, 'c', 'current', 'key.pem'), 'damaged')
    fake.faults = {
      renewal: (_, response) => {
        json(response, 500, { code: 500, error: 'out of order' })
      },
    }
    const run = await command(['renew', '--all', '--json'])
    expect(jsonError(run)).toMatchObject({
      code: 'ERR_CERTIFICATE_REVOKED',
      exitCode: 4,
      message: '4 of 4 identities were not renewed: b, c, d, demo',
      details: { failed: ['b', 'c', 'd', 'demo'] },
      hints: [
        expect.stringMatching(/^b \(likewise demo\): /),
        'c: pair again with a new token URL: kyconnect pair --force --profile c --url -',
        'd: pair again with a new token URL: kyconnect pair --force --profile d --url -',
      ],
    })
  })

  test('one of a renewal and one of the command are both in the message', async () => {
    await pair('other')
    await writeFile(join(home, 'other', 'current', 'key.pem'), 'damaged')
    const run = await command(['renew', '--all', '--exec', 'exit 3'])
    expect([run.code, run.stderr.split('\n').at(-4)]).toEqual([
      5,
      'error: 1 of 2 identities was not renewed: other; the --exec command failed: it exited with code 3',
    ])
  })
})

test('without --all, several identities are an error whose hints name --all', async () => {
  await pair('other')
  expect(jsonError(await command(['renew', '--if-due', '--json']))).toMatchObject({
    code: 'ERR_PROFILE_AMBIGUOUS',
    hints: [expect.stringContaining('--profile demo'), 'or renew all of them: kyconnect renew --all --if-due'],
  })
})

describe('a run with several failures', () => {
  test.each([
    ['the first', 'demo', 'other'],
    ['the last', 'other', 'demo'],
  ])(
    'ends with the worst one when it is %s, and runs the command for what was renewed',
    async (_, revoked, failing) => {
      await pair('other')
      await pair('third')
      const { fingerprint } = await stored('third')
      const [{ fingerprint: revokedOne }] = [await stored(revoked)]
      fake.faults = {
        renewal: async (request, response, body) => {
          if (!isOther(request, fingerprint)) json(response, 201, await fake.sign(body))
          else if (isOther(request, revokedOne)) json(response, 500, { code: 500, error: 'Internal error.' })
          else json(response, 403, { code: 403, error: 'Certificate has been revoked.' })
        },
      }
      const out = join(home, 'hook.txt')
      const run = await command(['renew', '--all', '--exec', `echo $KYCONNECT_PROFILES > ${out}`])
      expect(run.code, run.stderr).toBe(4)
      expect(run.stderr).toMatch(new RegExp(`^${failing}: not renewed: .*500`, 'm'))
      expect(run.stderr).toMatch(new RegExp(`^${revoked}: not renewed: .*revoked`, 'm'))
      expect(run.stdout).toMatch(/^third: renewed.*\n$/)
      expect(await readFile(out, 'utf8')).toBe('third\n')
    },
  )
})

describe('--exec', () => {
  test('runs once, with the renewed profiles and without secrets', async () => {
    await pair('other')
    const out = join(home, 'hook.txt')
    const hook = `env | sort > ${out}; echo once >> ${out}`
    const env = { KYCONNECT_TOKEN_URL: 'https://x/?token=a', KYCONNECT_SECRET_DB: 'b', HARMLESS: 'c' }
    const run = await command(['renew', '--all', '--exec', hook], { env })
    expect(run.code, run.stderr).toBe(0)
    const seen = (await readFile(out, 'utf8')).split('\n')
    expect(seen).toContain('KYCONNECT_PROFILES=demo other')
    expect(seen).toContain('HARMLESS=c')
    expect(seen.filter((line) => line === 'once')).toHaveLength(1)
    expect(seen.filter((line) => /TOKEN|SECRET/.test(line))).toEqual([])
  })

  test('that fails is remembered and repeated, without a second renewal', async () => {
    const failed = await command(['renew', '--exec', 'exit 3'])
    expect(failed.code).toBe(12)
    expect(failed.stderr).toContain('it exited with code 3')
    expect((await stored()).hookPending).toBe(true)
    const { fingerprint } = await stored()
    const out = join(home, 'hook.txt')
    const repeated = await command(['renew', '--all', '--if-due', '--exec', `echo $KYCONNECT_PROFILES > ${out}`])
    expect(repeated.code, repeated.stderr).toBe(0)
    expect(await readFile(out, 'utf8')).toBe('demo\n')
    expect(await stored()).toMatchObject({ fingerprint, hookPending: false })
    expect(renewals()).toBe(1)
  })

  test('that fails stays pending when the profile is paired again before it is repeated', async () => {
    expect((await command(['renew', '--exec', 'exit 3'])).code).toBe(12)
    const { fingerprint } = await stored()
    const again = await command(['pair', '--force', '--profile', 'demo', '--url', '-'], { input: fake.tokenUrl })
    expect(again.code, again.stderr).toBe(0)
    expect(await stored()).toMatchObject({ hookPending: true })
    expect((await stored()).fingerprint).not.toBe(fingerprint)
    const repeated = await command(['renew', '--if-due', '--exec', 'exit 0', '--json'])
    expect(JSON.parse(repeated.stdout)).toMatchObject({ hook: { profiles: ['demo'], outcome: 'done' } })
  })

  test('that dies with kyconnect, by kill -9, is repeated without a second renewal', async () => {
    const [begun, done] = ['begun', 'done'].map((name) => join(home, `${name}.txt`))
    const hook = `touch ${begun ?? ''}; sleep 2`
    const running = start(process.execPath, [join(root, 'bin', 'kyconnect.js'), 'renew', '--exec', hook], {
      env: environment(),
    })
    await expect.poll(() => readFile(begun ?? '', 'utf8').catch(() => undefined), { timeout: 60_000 }).toBe('')
    running.child.kill('SIGKILL')
    await running.end
    const { fingerprint } = await stored()
    const again = ['renew', '--all', '--if-due', '--exec', `echo $KYCONNECT_PROFILES > ${done ?? ''}`]
    const repeated = await command(again)
    expect(repeated.code, repeated.stderr).toBe(0)
    expect(await readFile(done ?? '', 'utf8')).toBe('demo\n')
    expect(await stored()).toMatchObject({ fingerprint, hookPending: false })
    expect(renewals()).toBe(1)
  })

  test('that fails is reported beside a renewal whose failure is worse', async () => {
    await pair('other')
    await writeFile(join(home, 'other', 'pointer.json'), 'damaged')
    const run = await command(['renew', '--all', '--exec', 'exit 3'])
    expect([run.code, renewals()]).toEqual([5, 1])
    expect(run.stderr).toMatch(/other: not renewed: .*damaged/)
    expect(run.stderr).toContain('the --exec command failed: it exited with code 3')
  })

  test('without a command is refused before anything is renewed', async () => {
    for (const empty of ['', ' ']) expect((await command(['renew', '--exec', empty])).code).toBe(2)
    expect(renewals()).toBe(0)
  })

  test('does not run when nothing was renewed', async () => {
    const run = await command(['renew', '--all', '--if-due', '--exec', 'exit 3'])
    expect(run.code, run.stderr).toBe(0)
  })

  test('that writes to standard output does not disturb --json', async () => {
    const run = await command(['renew', '--json', '--exec', 'echo noise'])
    expect(JSON.parse(run.stdout)).toMatchObject({ hook: { profiles: ['demo'], outcome: 'done' } })
    expect(run.stderr).toContain('noise')
  })
})

test.each([
  [['--expires-in', '20d'], '--if-due'],
  [['--reuse-key', '--key-algorithm', 'rsa2048'], 'exclude each other'],
  [['--all', '--profile', 'demo'], 'exclude each other'],
  [['--if-due', '--expires-in', 'soon'], '20d'],
])('renew %s is refused', async (args, text) => {
  const run = await command(['renew', ...args])
  expect(run.code).toBe(2)
  expect(run.stderr).toContain(text)
})

/** The page with which NGINX refuses a client certificate (docs/contract.md §7). */
function refuseCertificate(response: ServerResponse): void {
  response.writeHead(400, { 'content-type': 'text/html' })
  response.end('<html><head><title>400 The SSL certificate error</title></head></html>')
}
