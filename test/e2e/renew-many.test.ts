import { cp, mkdir, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { jsonError, kyconnect, type Run } from '../support/kyconnect.js'
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

describe('an empty home', () => {
  test('is an error for renew --all, which names the folder and the variable', async () => {
    const home = join(folder.path, 'empty')
    const done = await kyconnect(['renew', '--all', '--json'], { env: { KYCONNECT_HOME: home } })
    const { code, message, hints } = jsonError(done)
    expect([done.code, code, message]).toEqual([
      5,
      'ERR_NO_IDENTITY',
      `no identity is stored in ${home} (KYCONNECT_HOME)`,
    ])
    expect(hints).toContain('if you paired as another user or with another KYCONNECT_HOME, use the same here')
  })

  test('is a warning with --if-due, in a line for a person and in JSON', async () => {
    const home = join(folder.path, 'empty')
    const line = await renewDue(home)
    expect([line.code, line.stdout]).toEqual([0, ''])
    expect(line.stderr).toMatch(/^warning: no identity is stored in \S+\/empty \(KYCONNECT_HOME\), .*\n$/)
    const json = await renewDue(home, '--json')
    expect([json.code, json.stdout]).toEqual([0, '{"results":[],"hook":null}\n'])
    expect(JSON.parse(json.stderr)).toMatchObject({
      warning: { code: 'no-identity', place: `${home} (KYCONNECT_HOME)` },
    })
  })

  test('is named without the variable where it is the default', async () => {
    const done = await kyconnect(['info'], { env: { HOME: folder.path, XDG_DATA_HOME: join(folder.path, 'data') } })
    expect(done.stderr).toContain(`error: no identity is stored in ${join(folder.path, 'data', 'kyconnect')}\n`)
  })
})

test('a mistyped profile: the error names the stored ones, or the folder that holds none', async () => {
  const home = await makeHome('mistyped', ['one', 'two'])
  const among = jsonError(await kyconnect(['info', 'on', '--json'], { env: { KYCONNECT_HOME: home } }))
  expect([among.code, among.hints[0]]).toEqual(['ERR_NO_IDENTITY', 'name one of the stored profiles: one, two'])
  const empty = join(folder.path, 'empty')
  const none = jsonError(await kyconnect(['renew', 'on', '--json'], { env: { KYCONNECT_HOME: empty } }))
  expect(none.hint).toContain(`no identity is stored in ${empty} (KYCONNECT_HOME): if you paired as another user`)
})

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
    const notDue = { outcome: 'not-due', app: 'demo', nextRenewal: expect.stringMatching(/^20.*Z$/) as unknown }
    expect(JSON.parse(done.stdout)).toMatchObject({
      results: [
        { ...notDue, profile: 'one' },
        { ...notDue, profile: 'two' },
      ],
      hook: null,
    })
  })
})
