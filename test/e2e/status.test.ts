import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Material, Metadata } from '../../src/identity/identity.js'
import { renewalDate, usualDueRule } from '../../src/renewal/due.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, storeAt } from '../support/identities.js'
import { jsonError, kyconnect, plainEnvironment, program, type Run } from '../support/kyconnect.js'
import { parsePrometheusText } from '../support/prometheus-text.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let material: Material
let otherKey = ''
let home = ''

beforeAll(async () => {
  folder = await temporaryFolder('status')
  home = join(folder.path, 'home')
  material = await makeMaterial(folder.path, 'demo')
  otherKey = (await makeMaterial(folder.path, 'other')).key
})
afterEach(() => rm(home, { recursive: true, force: true }))
afterAll(() => folder.remove())

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Long enough that a slow machine shows the same whole day or hour. */
const marginMs = hourMs / 2

function go(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  return kyconnect(args, { env: { KYCONNECT_HOME: home, ...env } })
}

/** Stores an identity that was valid for 92 days, of which this much is left. */
async function store(profile: string, leftMs: number, more: Partial<Metadata> = {}): Promise<Metadata> {
  const notAfter = new Date(Date.now() + leftMs + marginMs)
  const notBefore = new Date(notAfter.getTime() - 92 * dayMs)
  const metadata = { ...metadataOf(profile, material), notBefore, notAfter, ...more }
  await storeAt(home).locked(profile, (change) => change.commit(metadata, material))
  return metadata
}

const versionOf = async (profile: string): Promise<string> => {
  const [version = ''] = await readdir(join(home, profile, 'versions'))
  return join(home, profile, 'versions', version)
}
const breakKey = async (profile: string): Promise<void> => {
  await writeFile(join(await versionOf(profile), 'key.pem'), otherKey)
}
const breakMetadata = async (profile: string): Promise<void> => {
  await writeFile(join(await versionOf(profile), 'identity.json'), '{')
}

/** The cells of each row; the columns are separated by two blanks. */
const rowsOf = ({ stdout }: Run): string[][] =>
  stdout
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/))
const day = (date: Date): string => date.toISOString().slice(0, 10)

describe('the table', () => {
  test('shows when each certificate ends, when it is renewed, and its state', async () => {
    const fine = await store('fine', 80 * dayMs)
    const hooked = await store('hooked', 70 * dayMs, { hookPending: true, app: 'shop' })
    const due = await store('due', 7 * dayMs)
    const hours = await store('hours', 5 * hourMs, { hookPending: true })
    const expired = await store('old', -3 * dayMs)
    const revoked = await store('revoked', 60 * dayMs, { revokedAt: new Date(), gatewayHost: null })
    await store('broken', 50 * dayMs)
    await breakMetadata('broken')
    const done = await go(['status'])
    expect([done.code, done.stderr]).toEqual([0, ''])
    expect(done.stdout).toMatch(/^PROFILE +APP +VALID UNTIL +DAYS LEFT +NEXT RENEWAL +GATEWAY +STATE\n/)
    const [gateway, next] = ['gateway.kyma.local:30443', (its: Metadata) => day(renewalDate(its, usualDueRule))]
    expect(rowsOf(done)).toEqual([
      ['broken', '-', '-', '-', '-', '-', expect.stringMatching(/^unusable: .*identity\.json is damaged/)],
      ['due', 'demo', day(due.notAfter), '7', 'now', gateway, 'due'],
      ['fine', 'demo', day(fine.notAfter), '80', next(fine), gateway, 'fine'],
      ['hooked', 'shop', day(hooked.notAfter), '70', next(hooked), gateway, 'hook pending'],
      ['hours', 'demo', hours.notAfter.toISOString().replace(/\.\d+/, ''), '5 h', 'now', gateway, 'due, hook pending'],
      ['old', 'demo', day(expired.notAfter), '0', '-', gateway, 'expired'],
      ['revoked', 'demo', day(revoked.notAfter), '60', '-', 'unknown:30443', 'revoked'],
    ])
    const ends = done.stdout.split('\n').map((line) => line.indexOf('  due'))
    expect(ends.filter((at) => at > 0)[0]).toBe(done.stdout.indexOf('STATE') - 2)
  })

  test('is the same for list and ls, and has one row for one profile, named in any way', async () => {
    await store('demo', 80 * dayMs)
    await store('shop', 80 * dayMs)
    const all = (await go(['status'])).stdout
    for (const alias of ['list', 'ls']) expect((await go([alias])).stdout).toBe(all)
    for (const args of [['shop'], ['--profile', 'shop'], ['shop', '--profile', 'shop']])
      expect(rowsOf(await go(['status', ...args])).map(([profile]) => profile)).toEqual(['shop'])
    expect(jsonError(await go(['status', 'shop', '--profile', 'demo', '--json'])).code).toBe('ERR_USAGE')
    // The variable names the identity that is used; status uses none.
    expect((await go(['status'], { KYCONNECT_PROFILE: 'shop' })).stdout).toBe(all)
  })

  test('says that nothing is stored, and that is not a failure', async () => {
    expect(await go(['status'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: `no identity is stored in ${home} (KYCONNECT_HOME)\n`,
    })
    expect(await go(['status', '--json'])).toMatchObject({ code: 0, stdout: '{"identities":[]}\n', stderr: '' })
    expect(await go(['status', '--prometheus'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: `no identity is stored in ${home} (KYCONNECT_HOME)\n`,
    })
    const missing = await go(['status', 'missing', '--json'])
    expect([missing.code, missing.stdout, jsonError(missing).code]).toEqual([5, '', 'ERR_NO_IDENTITY'])
    expect(jsonError(await go(['status', '../x', '--json'])).code).toBe('ERR_PROFILE_NAME')
  })

  test('has colours on a terminal only', async () => {
    await store('due', 7 * dayMs)
    expect((await go(['status'])).stdout).not.toContain('\x1b')
    const command = [process.execPath, program, 'status'].map((word) => `'${word}'`).join(' ')
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: plainEnvironment({ KYCONNECT_HOME: home, TERM: 'xterm-256color' }),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let screen = ''
    child.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()))
    await once(child, 'close')
    expect(screen).toContain('\x1b[33mdue\x1b[39m')
  })
})

describe('what is due', () => {
  test('follows --expires-in, as a time and as a share, by the rule of renew', async () => {
    await store('demo', 40 * dayMs)
    const state = async (...args: string[]): Promise<string | undefined> =>
      rowsOf(await go(['status', ...args]))[0]?.at(-1)
    expect(await state()).toBe('fine')
    expect(await state('--expires-in', '41d')).toBe('due')
    expect(await state('--expires-in', '50%')).toBe('due')
    expect(await state('--expires-in', '20d')).toBe('fine')
    const wrong = await go(['status', '--expires-in', 'soon', '--json'])
    expect([wrong.code, jsonError(wrong).message]).toEqual([2, expect.stringContaining('--expires-in')])
  })
})

describe('a key that does not match its certificate', () => {
  test('is found for one identity, and for all of up to 20', async () => {
    await store('demo', 80 * dayMs)
    await store('shop', 80 * dayMs)
    await breakKey('shop')
    const reason = expect.stringMatching(/^unusable: .*its key does not match its certificate$/) as string
    expect(rowsOf(await go(['status'])).map((row) => row.at(-1))).toEqual(['fine', reason])
    for (let count = 3; count <= 21; count++)
      await cp(join(home, 'demo'), join(home, `z${count}`), { recursive: true, verbatimSymlinks: true })
    expect(rowsOf(await go(['status'])).map((row) => row.at(-1))).toEqual(Array(21).fill('fine'))
    expect(rowsOf(await go(['status', 'shop'])).map((row) => row.at(-1))).toEqual([reason])
    await rm(join(home, 'z21'), { recursive: true })
    expect(rowsOf(await go(['status'])).map((row) => row.at(-1))).toEqual([
      'fine',
      reason,
      ...Array<string>(18).fill('fine'),
    ])
  })
})

describe('--json', () => {
  test('has every fact of every identity', async () => {
    const at = new Date('2026-11-20T10:00:00Z')
    const fine = await store('fine', 80 * dayMs)
    await store('gone', 60 * dayMs, { revokedAt: at, hookPending: true, insecure: true })
    await store('broken', 80 * dayMs)
    await breakKey('broken')
    const seconds = (date: Date): string => date.toISOString().replace(/\.\d+/, '')
    const { identities } = JSON.parse((await go(['status', '--json'])).stdout) as { identities: unknown[] }
    expect(identities).toEqual([
      { profile: 'broken', usable: false, state: 'unusable', problem: expect.stringContaining('key') as string },
      {
        profile: 'fine',
        usable: true,
        state: 'fine',
        app: 'demo',
        commonName: 'demo',
        notBefore: seconds(fine.notBefore),
        notAfter: seconds(fine.notAfter),
        daysLeft: 80,
        nextRenewal: seconds(renewalDate(fine, usualDueRule)),
        revokedAt: null,
        rejectedAt: null,
        hookPending: false,
        gatewayHost: 'gateway.kyma.local',
        nodePort: 30443,
        insecure: false,
      },
      expect.objectContaining({
        profile: 'gone',
        usable: true,
        state: 'revoked',
        daysLeft: 60,
        nextRenewal: null,
        revokedAt: '2026-11-20T10:00:00Z',
        hookPending: true,
        insecure: true,
      }),
    ])
  })
})

describe('--check', () => {
  /** Runs it in both forms, and checks that stdout is what it is without --check. */
  async function check(...args: string[]): Promise<ReturnType<typeof jsonError> & { code: string; text: string }> {
    const plain = await go(['status', '--check', ...args])
    const json = await go(['status', '--check', '--json', ...args])
    expect(plain.stdout).toBe((await go(['status', ...args])).stdout)
    expect(json.stdout).toBe((await go(['status', '--json', ...args])).stdout)
    expect(plain.code).toBe(json.code)
    const error = jsonError(json)
    expect(error.exitCode).toBe(json.code)
    return { ...error, text: plain.stderr }
  }

  test('ends with 0 and prints only the table when all is fine', async () => {
    await store('demo', 80 * dayMs)
    const done = await go(['status', '--check'])
    expect([done.code, done.stderr]).toEqual([0, ''])
    expect(done.stdout).toBe((await go(['status'])).stdout)
  })

  test('ends with 10 when a certificate is due, and names the command', async () => {
    await store('demo', 7 * dayMs)
    await store('fine', 80 * dayMs)
    expect(await check()).toMatchObject({
      exitCode: 10,
      code: 'ERR_RENEWAL_DUE',
      message: 'the certificate of "demo" is due for renewal',
      hints: ['renew it: kyconnect renew --profile demo --if-due'],
      details: { expired: [], revoked: [], unusable: [], due: ['demo'], hookPending: [] },
      text: 'error: the certificate of "demo" is due for renewal\n  → renew it: kyconnect renew --profile demo --if-due\n',
    })
    expect((await go(['status', 'fine', '--check'])).code).toBe(0)
    expect(await check('--expires-in', '85d')).toMatchObject({
      exitCode: 10,
      message: 'the certificates of "demo", "fine" are due for renewal',
      hints: ['renew them: kyconnect renew --all --if-due --expires-in 85d'],
    })
  })

  test('ends with 10 when a hook is pending', async () => {
    await store('demo', 80 * dayMs, { hookPending: true })
    expect(await check()).toMatchObject({
      exitCode: 10,
      message: 'the --exec command has not succeeded for "demo"',
      hints: ['run it again: kyconnect renew --profile demo --if-due --exec <command>'],
    })
  })

  test('ends with 11 when an App must be paired again, and names everything else too', async () => {
    await store('due', 7 * dayMs, { hookPending: true })
    await store('old', -dayMs)
    await store('broken', 80 * dayMs)
    await breakMetadata('broken')
    const pairAgain = 'again with a new token URL: kyconnect pair --force --profile'
    expect(await check()).toMatchObject({
      exitCode: 11,
      code: 'ERR_PAIR_AGAIN',
      message:
        'the certificate of "old" has expired; the identity "broken" cannot be used; the certificate of "due" is due for renewal; the --exec command has not succeeded for "due"',
      hints: [
        `pair ${pairAgain} old --url -`,
        `pair ${pairAgain} broken --url -`,
        'renew it: kyconnect renew --profile due --if-due',
        'run it again: kyconnect renew --profile due --if-due --exec <command>',
      ],
      details: { expired: ['old'], revoked: [], unusable: ['broken'], due: ['due'], hookPending: ['due'] },
    })
    await store('gone', 80 * dayMs, { revokedAt: new Date() })
    expect(await check('--profile', 'gone')).toMatchObject({
      exitCode: 11,
      message: 'the certificate of "gone" has been revoked',
      hints: [`pair ${pairAgain} gone --url -`],
    })
    expect((await check()).hints[0]).toBe(`pair each ${pairAgain} <profile> --url -`)
  })

  test('ends with 5 when there is no identity, or one cannot be used', async () => {
    const none = await go(['status', '--check', '--json'])
    expect([none.code, none.stdout, jsonError(none).code]).toEqual([5, '{"identities":[]}\n', 'ERR_NO_IDENTITY'])
    expect((await go(['status', '--check'])).stderr).toContain(
      `error: no identity is stored in ${home} (KYCONNECT_HOME)\n`,
    )
    await store('demo', 80 * dayMs)
    await store('due', 7 * dayMs)
    await breakKey('demo')
    expect(await check()).toMatchObject({
      exitCode: 5,
      code: 'ERR_IDENTITY_UNUSABLE',
      message: 'the identity "demo" cannot be used; the certificate of "due" is due for renewal',
    })
  })

  test('names ten profiles, and counts the others', async () => {
    await store('p00', 7 * dayMs)
    for (let count = 1; count < 12; count++)
      await cp(join(home, 'p00'), join(home, `p${String(count).padStart(2, '0')}`), {
        recursive: true,
        verbatimSymlinks: true,
      })
    const { message, details } = await check()
    expect(message).toMatch(/^the certificates of ("p0\d", ){9}"p09" and 2 more are due for renewal$/)
    expect(details?.['due']).toHaveLength(12)
  })
})

describe('--prometheus', () => {
  test('prints metrics that Prometheus reads, with and without --check', async () => {
    const due = await store('due', 7 * dayMs, { app: 'a "quoted" \\ App' })
    await store('broken', 80 * dayMs)
    await breakKey('broken')
    const done = await go(['status', '--prometheus'])
    expect([done.code, done.stderr]).toEqual([0, ''])
    const families = parsePrometheusText(done.stdout)
    const labels = { app: 'a "quoted" \\ App', profile: 'due' }
    expect(families.get('kyconnect_certificate_not_after_seconds')?.samples).toEqual([
      { name: 'kyconnect_certificate_not_after_seconds', labels, value: due.notAfter.getTime() / 1000 },
    ])
    expect(families.get('kyconnect_identity_usable')?.samples).toEqual([
      { name: 'kyconnect_identity_usable', labels: { app: '', profile: 'broken' }, value: 0 },
      { name: 'kyconnect_identity_usable', labels, value: 1 },
    ])
    const checked = await go(['status', '--prometheus', '--check'])
    expect([checked.code, checked.stdout]).toEqual([5, done.stdout])
    expect((await go(['status', '--prometheus', '--json'])).code).toBe(2)
  })
})
