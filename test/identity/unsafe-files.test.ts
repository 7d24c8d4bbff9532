import { spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { HomeUnsafeError, IdentityUnusableError, NoIdentityError } from '../../src/errors.js'
import type { Material } from '../../src/identity/identity.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, pendingOf, storeAt } from '../support/identities.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let one: Material
let two: Material
let home = ''
let homes = 0

beforeAll(async () => {
  folder = await temporaryFolder('unsafe')
  ;[one, two] = await Promise.all([makeMaterial(folder.path, 'one'), makeMaterial(folder.path, 'two')])
})
afterAll(() => folder.remove())
beforeEach(async () => {
  home = join(folder.path, `home-${homes++}`)
  await commit(one)
})

async function commit(material: Material): Promise<void> {
  await storeAt(home).locked('demo', async (change) => {
    await change.commit(metadataOf('demo', material), material)
  })
}

const at = (...path: string[]): string => join(home, 'demo', ...path)
const failure = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error)

describe('a file in place of ours is refused at once', () => {
  const files = ['pointer.json', 'current/identity.json', 'current/key.pem', 'current/client.crt']

  test.each(files)('a FIFO as %s: reading does not wait for a writer', async (name) => {
    await rm(at(name))
    expect(spawnSync('mkfifo', [at(name)]).status).toBe(0)
    expect(await failure(storeAt(home).load('demo'))).toBeInstanceOf(HomeUnsafeError)
    const [summary] = await storeAt(home).summaries()
    if (name === 'pointer.json' || name.endsWith('identity.json'))
      expect(summary?.problem).toBeInstanceOf(HomeUnsafeError)
  })

  test.each(files)('a link as %s', async (name) => {
    await rename(at(name), join(home, 'elsewhere'))
    await symlink(join(home, 'elsewhere'), at(name))
    expect(await failure(storeAt(home).load('demo'))).toMatchObject({
      code: 'ERR_HOME_UNSAFE',
      message: expect.stringContaining('is not a plain file') as string,
    })
  })

  test('a device, and a file of another user', async () => {
    if (process.geteuid?.() !== 0) return
    spawnSync('chown', ['123', at('current', 'key.pem')])
    expect(await failure(storeAt(home).load('demo'))).toMatchObject({
      code: 'ERR_HOME_UNSAFE',
      message: expect.stringContaining('belongs to another user (uid 123') as string,
    })
    await rm(at('current', 'key.pem'))
    await symlink('/dev/zero', at('current', 'key.pem'))
    expect(await failure(storeAt(home).load('demo'))).toBeInstanceOf(HomeUnsafeError)
  })
})

describe('permissions that are too open are refused, with the command that mends them', () => {
  test.each([0o640, 0o604, 0o620, 0o602])('a key of mode %o', async (mode) => {
    await chmod(at('current', 'key.pem'), mode)
    const refused = await failure(storeAt(home).load('demo'))
    expect(refused).toBeInstanceOf(HomeUnsafeError)
    expect(refused instanceof HomeUnsafeError ? refused.hints.join() : '').toContain('chmod 600')
  })

  test.each(['versions', 'current', 'pending'])('a folder %s that others may write', async (name) => {
    await storeAt(home).locked('demo', (change) => change.begin(pendingOf('demo')))
    await chmod(at(name), 0o770)
    const store = storeAt(home)
    const refused = await failure(name === 'pending' ? store.pending('demo') : store.load('demo'))
    expect(refused).toBeInstanceOf(HomeUnsafeError)
    expect(refused instanceof HomeUnsafeError ? refused.hints.join() : '').toContain('chmod go-w')
  })
})

describe('a restored copy of an identity', () => {
  test('as a profile folder works as it is', async () => {
    await rename(at(), join(home, 'backup'))
    await cp(join(home, 'backup'), at(), { recursive: true, verbatimSymlinks: true })
    expect((await storeAt(home).load('demo')).material).toEqual(one)
  })

  /** Only what `current` showed, as `cp -rL` copies it. */
  async function copyCurrentAlone(): Promise<void> {
    await cp(at('current'), join(home, 'copy'), { recursive: true, dereference: true })
    await rm(at(), { recursive: true })
    await mkdir(at(), { mode: 0o700 })
    await rename(join(home, 'copy'), at('current'))
    await chmod(at('current'), 0o700)
  }

  test('as `current` alone is reported, with the command that imports it, and is not taken for nothing', async () => {
    await copyCurrentAlone()
    const refused = await failure(storeAt(home).load('demo'))
    expect(refused).toBeInstanceOf(IdentityUnusableError)
    expect(refused).not.toBeInstanceOf(NoIdentityError)
    expect(refused instanceof IdentityUnusableError ? refused.hints.join() : '').toContain('kyconnect import')
  })

  test('can be imported, and its key is never deleted', async () => {
    await copyCurrentAlone()
    const copy = await storeAt(home).loadCopy(at('current'), 'demo')
    expect(copy.material).toEqual(one)
    await storeAt(home).locked('demo', (change) => change.commit(copy.metadata, copy.material))
    expect((await storeAt(home).load('demo')).material).toEqual(one)
    expect(await readFile(at('current', 'key.pem'), 'utf8')).toBe(one.key)
  })

  test('survives another identity that is committed over it', async () => {
    await copyCurrentAlone()
    await commit(two)
    expect((await storeAt(home).load('demo')).material).toEqual(two)
    const kept = (await readdir(at())).find((name) => name.startsWith('current.kept-')) ?? 'none'
    expect(await readFile(at(kept, 'key.pem'), 'utf8')).toBe(one.key)
    await storeAt(home).mend('demo')
    expect(await readdir(at())).toContain(kept)
  })
})

test('removing an identity removes its files, and leaves and names the others', async () => {
  await writeFile(at('identity.p12'), 'of the user')
  await mkdir(at('versions', 'v20200101000000-00000000'))
  const left = await storeAt(home).locked('demo', (change) => change.remove())
  expect([...left].sort()).toEqual(['identity.p12', 'versions'])
  expect(await readdir(at('versions'))).toEqual(['v20200101000000-00000000'])
  expect(await failure(storeAt(home).load('demo'))).toBeInstanceOf(NoIdentityError)
  expect((await stat(at('identity.p12'))).isFile()).toBe(true)
})

test('metadata is amended as it is now, not as it was read before', async () => {
  const store = storeAt(home)
  const before = await store.load('demo')
  await commit(two)
  await store.locked('demo', (change) =>
    change.amend((present) =>
      present.fingerprint === before.metadata.fingerprint ? { ...present, urls: {} } : present,
    ),
  )
  const after = await store.load('demo')
  expect([after.material, after.metadata.urls]).toEqual([two, metadataOf('demo', two).urls])
})
