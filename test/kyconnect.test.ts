import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FilesError } from '../src/errors.js'
import { Kyconnect } from '../src/kyconnect.js'
import { readRuntime } from '../src/runtime.js'
import { temporaryFolder } from './support/certificates.js'
import { makeMaterial, metadataOf, storeAt } from './support/identities.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('kyconnect')
})
afterAll(() => folder.remove())

test('a rename keeps the original when the disk has not confirmed the copy', async () => {
  const home = join(folder.path, 'home')
  const [old, material] = await Promise.all(['old', 'new'].map((name) => makeMaterial(folder.path, name)))
  if (old === undefined || material === undefined) throw new Error('openssl made nothing')
  const store = storeAt(home)
  await store.locked('before', async (change) => {
    await change.commit(metadataOf('before', old), old)
    await change.commit(metadataOf('before', material), material)
  })
  const makeLink = (): Promise<never> => Promise.reject(Object.assign(new Error('a bad disk'), { code: 'EIO' }))
  const failing = new Kyconnect(readRuntime(new AbortController().signal), storeAt(home, { makeLink }))
  const failed: unknown = await failing.rename('before', 'after').catch((error: unknown) => error)
  expect(failed).toBeInstanceOf(FilesError)
  for (const profile of ['before', 'after']) expect((await store.load(profile)).material).toEqual(material)
})
