import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Material } from '../../src/identity/identity.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, modes, pendingOf, storeAt } from '../support/identities.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let one: Material
let home: string
let count = 0

beforeAll(async () => {
  folder = await temporaryFolder('umask')
  one = await makeMaterial(folder.path, 'one')
})
afterAll(() => folder.remove())
beforeEach(() => {
  home = join(folder.path, `home-${++count}`)
})

test.each(['000', '022', '077', '777'])(
  'an identity is readable by its owner alone with a umask of %s',
  async (mask) => {
    const before = process.umask(parseInt(mask, 8))
    try {
      const store = storeAt(home)
      await store.locked('demo', (change) => change.commit(metadataOf('demo', one), one))
      await store.locked('demo', (change) => change.begin(pendingOf('demo')))
    } finally {
      process.umask(before)
    }
    expect(await modes(home)).toEqual(['file 600', 'folder 700'])
    expect((await stat(home)).mode & 0o7777).toBe(0o700)
  },
)
