import { cp, mkdir, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { kyconnect, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** A home with the identity "demo", which others are copied from. */
let paired: string

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([startSandboxProcess(), temporaryFolder('renew-many')])
  paired = join(folder.path, 'paired')
  const done = await kyconnect(['pair', '--url', '-'], {
    env: { ...sandbox.ready.env, KYCONNECT_HOME: paired },
    input: await sandbox.tokenUrl(),
  })
  expect(done.code, done.stderr).toBe(0)
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

async function makeHome(name: string, profiles: readonly string[]): Promise<string> {
  const home = join(folder.path, name)
  await mkdir(home, { mode: 0o700 })
  for (const profile of profiles)
    await cp(join(paired, 'demo'), join(home, profile), { recursive: true, verbatimSymlinks: true })
  return home
}
const renewDue = (home: string, ...more: string[]): Promise<Run> =>
  kyconnect(['renew', '--all', '--if-due', ...more], { env: { KYCONNECT_HOME: home } })

describe('renew --all --if-due, with nothing due', () => {
  test('prints nothing, and does not read the keys: with 1,000 identities that would take seconds', async () => {
    const home = await makeHome('keys', ['one', 'two'])
    // Reading it would fail.
    await writeFile(join(home, 'two', 'current', 'key.pem'), 'not a key')
    expect(await renewDue(home)).toMatchObject({ code: 0, stdout: '', stderr: '' })
    const read = await kyconnect(['renew', '--profile', 'two', '--if-due'], { env: { KYCONNECT_HOME: home } })
    expect(read.code, read.stderr).toBe(5)
  })

  test('repairs a "current" that a crash left behind', async () => {
    const home = await makeHome('mended', ['one', 'two'])
    const current = join(home, 'two', 'current')
    const target = await readlink(current)
    await rm(current)
    await symlink('versions/v20200101000000-00000000', current)
    expect(await renewDue(home)).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(await readlink(current)).toBe(target)
  })

  test('reports an identity whose metadata cannot be read', async () => {
    const home = await makeHome('damaged', ['one', 'two'])
    await writeFile(join(home, 'two', 'pointer.json'), '{}')
    const done = await renewDue(home)
    expect([done.code, done.stdout]).toEqual([5, ''])
    expect(done.stderr).toContain('two: not renewed')
    expect(done.stderr).not.toContain('one')
  })

  test('with --json, lists every identity with the date of its next renewal', async () => {
    const home = await makeHome('json', ['one', 'two'])
    const done = await renewDue(home, '--json')
    expect(done.code, done.stderr).toBe(0)
    const unwanted = { outcome: 'unwanted', app: 'demo', nextRenewal: expect.stringMatching(/^20.*Z$/) as unknown }
    expect(JSON.parse(done.stdout)).toMatchObject({
      results: [
        { ...unwanted, profile: 'one' },
        { ...unwanted, profile: 'two' },
      ],
      hook: null,
    })
  })
})
