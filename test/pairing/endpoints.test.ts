import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FilesError } from '../../src/errors.js'
import type { Identity } from '../../src/identity/identity.js'
import type { IdentityStore, ProfileChange } from '../../src/identity/store.js'
import { storeEndpoints } from '../../src/pairing/endpoints.js'
import type { ProgressEvent } from '../../src/progress.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, storeAt } from '../support/identities.js'

const urls = { infoUrl: 'https://gateway.kyma.local/info', eventsUrl: 'https://gateway.kyma.local/demo/v1/events' }
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let store: IdentityStore
let before: Identity
let events: ProgressEvent[]

beforeAll(async () => {
  folder = await temporaryFolder('endpoints')
  store = storeAt(join(folder.path, 'home'))
  const material = await makeMaterial(folder.path, 'one')
  before = { metadata: metadataOf('demo', material), material }
  await store.locked('demo', (change) => change.commit(before.metadata, material))
})
afterAll(() => folder.remove())

function storeUrls(into: IdentityStore): Promise<void> {
  events = []
  return storeEndpoints(into, before, { ...before.metadata, urls }, false, (event) => events.push(event))
}

describe('URLs that were learned', () => {
  test('are stored with the identity that asked for them', async () => {
    await storeUrls(store)
    expect((await store.load('demo')).metadata.urls).toEqual(urls)
    expect(events).toEqual([])
  })

  test('are not stored with the identity of a newer pairing', async () => {
    const newer = await makeMaterial(folder.path, 'two')
    const metadata = metadataOf('demo', newer)
    await store.locked('demo', (change) => change.commit(metadata, newer))
    await storeUrls(store)
    expect((await store.load('demo')).metadata).toEqual(metadata)
  })

  test('are warned of when the disk has not confirmed them', async () => {
    const problem = new FilesError('could not sync')
    const change: Pick<ProfileChange, 'amend'> = {
      amend: (edit) => Promise.resolve({ value: edit(before.metadata), problem }),
    }
    const locked: unknown = (_: string, work: (change: Pick<ProfileChange, 'amend'>) => unknown) => work(change)
    await storeUrls(Object.assign(Object.create(store) as IdentityStore, { locked }))
    expect(events).toEqual([{ type: 'warning', warning: 'not-durable', cause: 'could not sync' }])
  })
})
