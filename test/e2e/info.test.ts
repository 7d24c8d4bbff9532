import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, json, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, program, type Run, start } from '../support/kyconnect.js'

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('info')])
  home = join(folder.path, 'home')
  const paired = await go(['pair', '--url', '-'], fake.tokenUrl)
  expect(paired.code, paired.stderr).toBe(0)
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})

function go(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Run> {
  return kyconnect(args, { env: { ...fake.env, KUBECONFIG: '', KYCONNECT_HOME: home, ...env }, input })
}

/** Nothing listens on port 1. */
const unreachable = { KYCONNECT_NODE_PORT: '1' }

interface Report {
  readonly app: string
  readonly verified: boolean
  readonly certificate: { readonly daysLeft: number; readonly notAfter: string }
}

function reportIn({ stdout }: Run): Report {
  return JSON.parse(stdout) as Report
}

describe('info', () => {
  test('shows what is stored when the gateway cannot be reached, then fails with 8', async () => {
    const done = await go(['info'], '', unreachable)
    expect([done.code, done.stdout]).toEqual([8, expect.stringMatching(/^App +demo\nprofile +demo\n/)])
    for (const word of ['valid to', 'stored in', 'fingerprint', 'metadataUrl']) expect(done.stdout).toContain(word)
    expect(done.stderr).toMatch(/^error: /m)
    const program = await go(['info', '--json'], '', unreachable)
    expect([program.code, reportIn(program)]).toEqual([8, expect.objectContaining({ app: 'demo', verified: false })])
    expect(jsonError(program).code).toBe('ERR_NETWORK')
  })

  test('shows what is stored before the gateway has answered', async () => {
    let printed = ''
    fake.faults.management = (_, response) => {
      printed = stdout()
      json(response, 200, fake.goodManagement())
    }
    const running = start(process.execPath, [program, 'info'], { env: { ...fake.env, KYCONNECT_HOME: home } })
    let seen = ''
    running.child.stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString('utf8')))
    const stdout = (): string => seen
    const done = await running.end
    fake.faults = {}
    expect([done.code, printed], done.stderr).toEqual([0, expect.stringContaining('fingerprint')])
  })

  test('does not ask the gateway with --offline, nor the cluster for its NodePort', async () => {
    fake.requests.length = 0
    const done = await go(['info', '--offline', '--node-port', 'auto'], '', { KYCONNECT_NODE_PORT: '' })
    expect([done.code, done.stdout, done.stderr]).toEqual([0, expect.stringContaining('metadataUrl'), ''])
    const byVariable = await go(['info', '--offline'], '', { KYCONNECT_NODE_PORT: 'auto' })
    expect([byVariable.code, byVariable.stderr]).toEqual([0, ''])
    const program = await go(['info', '--offline', '--json'], '', unreachable)
    expect([program.code, reportIn(program).verified]).toEqual([0, false])
    expect(fake.requests).toEqual([])
    expect(reportIn(await go(['info', '--json'])).verified).toBe(true)
    expect(fake.requests).toHaveLength(1)
  })

  test('takes a profile as its argument, and refuses two that differ', async () => {
    expect((await go(['info', 'demo'])).stdout).toContain('profile      demo')
    const none = await go(['info', 'shop', '--json'])
    expect([none.code, none.stdout, jsonError(none).code]).toEqual([5, '', 'ERR_NO_IDENTITY'])
    expect((await go(['info', 'demo', '--profile', 'shop'])).code).toBe(2)
    expect((await go(['info', 'demo', '--profile', 'demo', '--offline'])).code).toBe(0)
  })

  test('shows the URLs again when the gateway names other ones', async () => {
    const stored = join(home, 'demo', 'current', 'identity.json')
    const before = await readFile(stored, 'utf8')
    await writeFile(stored, before.replace('/demo/v1/events', '/demo/v0/events'))
    const done = await go(['info'])
    expect(done.stdout).toMatch(/\/demo\/v0\/events[^]*URLs now\n[^]*\/demo\/v1\/events/)
    expect((await go(['info'])).stdout).not.toContain('URLs now')
  })
})

describe('a certificate whose life is running out', () => {
  /** Runs with the dates in the stored metadata moved; the certificate itself stays. */
  async function withDates<T>(fromDays: number, toDays: number, work: () => Promise<T>): Promise<T> {
    const stored = join(home, 'demo', 'current', 'identity.json')
    const before = await readFile(stored, 'utf8')
    const date = (days: number): string => new Date(Date.now() + days * 86_400_000 + 60_000).toISOString()
    const metadata = { ...(JSON.parse(before) as object), notBefore: date(fromDays), notAfter: date(toDays) }
    await writeFile(stored, JSON.stringify(metadata))
    try {
      return await work()
    } finally {
      await writeFile(stored, before)
    }
  }
  const warnings = ({ stderr }: Run): string[] => stderr.match(/(?<=^warning: .*)expire[sd] on [^;]*/gm) ?? []

  test('is warned of once, with its days, by every command that uses it', async () => {
    await withDates(-62, 30, async () => {
      for (const args of [['info'], ['info', '--offline'], ['call', 'info']]) {
        const done = await go(args)
        expect([done.code, warnings(done)], args.join(' ')).toEqual([0, [expect.stringMatching(/, in 30 days$/)]])
        expect(done.stderr).toContain('; renew it: kyconnect renew --profile demo\n')
      }
      const [line = ''] = (await go(['call', 'info', '--json'])).stderr.split('\n')
      expect(JSON.parse(line)).toMatchObject({
        warning: { code: 'certificate-expiring', profile: 'demo', daysLeft: 30 },
      })
    })
  })

  test('is not warned of while a third of its life is left', async () => {
    await withDates(-61, 31, async () => {
      expect((await go(['info'])).stderr).not.toContain('warning')
    })
  })

  test('is shown and warned of when it has expired, and the command ends with the code of its failure', async () => {
    await withDates(-100, -8, async () => {
      fake.faults.management = (_, response) => {
        response.writeHead(400, { 'content-type': 'text/html' }).end('<html>The SSL certificate error</html>')
      }
      const done = await go(['info'])
      fake.faults = {}
      expect([done.code, done.stdout]).toEqual([4, expect.stringMatching(/valid to .*\(expired\)/)])
      expect(warnings(done)).toEqual([expect.stringMatching(/^expired on/)])
    })
  })
})
