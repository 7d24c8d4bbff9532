import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { kyconnect, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([
    startSandboxProcess(['--app', 'demo', '--app', 'shop']),
    temporaryFolder('profiles'),
  ])
  home = join(folder.path, 'home')
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

function go(args: readonly string[], input = ''): Promise<Run> {
  return kyconnect(args, { env: { KYCONNECT_HOME: home }, input })
}

async function pair(app: string, profile: string): Promise<void> {
  const done = await kyconnect(['pair', '--profile', profile, '--url', '-'], {
    env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
    input: await sandbox.tokenUrl(app),
  })
  expect(done.code, done.stderr).toBe(0)
}

describe('list', () => {
  test('says that nothing is stored, and is not a failure', async () => {
    expect(await go(['list'])).toMatchObject({ code: 0, stdout: '', stderr: 'no identity is stored on this machine\n' })
    expect(await go(['list', '--json'])).toMatchObject({ code: 0, stdout: '{"identities":[]}\n', stderr: '' })
  })

  test('shows each profile with its App, its validity and its cluster, and asks no service', async () => {
    await pair('demo', 'demo')
    await pair('shop', 'a-longer-name')
    const port = sandbox.ready.gatewayPort
    for (const command of ['list', 'ls']) {
      const done = await go([command])
      expect([done.code, done.stderr]).toEqual([0, ''])
      const [heading, ...rows] = done.stdout.trimEnd().split('\n')
      expect(heading).toMatch(/^PROFILE +APP +VALID UNTIL +DAYS LEFT +CLUSTER$/)
      expect(rows).toEqual([
        expect.stringMatching(
          new RegExp(`^a-longer-name +shop +\\d{4}-\\d\\d-\\d\\d +91 +gateway\\.kyma\\.local:${port}$`),
        ),
        expect.stringMatching(/^demo +demo +/),
      ])
      expect(rows.map((row) => row.search(/\d{4}-/))).toEqual(Array(2).fill(heading?.indexOf('VALID')))
    }
    const { identities } = JSON.parse((await go(['ls', '--json'])).stdout) as { identities: unknown[] }
    expect(identities).toMatchObject([
      { profile: 'a-longer-name', usable: true, app: 'shop', daysLeft: 91 },
      {
        profile: 'demo',
        usable: true,
        app: 'demo',
        gatewayHost: 'gateway.kyma.local',
        nodePort: port,
        insecure: false,
      },
    ])
  })

  test('shows an identity that cannot be used, and all others', async () => {
    await pair('demo', 'broken')
    await writeFile(join(home, 'broken', 'current', 'identity.json'), '{')
    const done = await go(['list'])
    expect([done.code, done.stdout]).toEqual([0, expect.stringMatching(/^broken +unusable: [^]*\ndemo +demo/m)])
    const { identities } = JSON.parse((await go(['list', '--json'])).stdout) as { identities: unknown[] }
    expect(identities).toContainEqual({ profile: 'broken', usable: false, problem: expect.any(String) as string })
  })
})
