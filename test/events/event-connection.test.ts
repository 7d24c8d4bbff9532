import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventConnection } from '../../src/events/event-connection.js'
import type { Identity } from '../../src/identity/identity.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, plainChoice } from '../support/identities.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let paired: Identity
let renewed: Identity

beforeAll(async () => {
  folder = await temporaryFolder('event-connection')
  const [old, next] = await Promise.all([makeMaterial(folder.path, 'old'), makeMaterial(folder.path, 'next')])
  const urls = { eventsUrl: 'https://gateway.kyma.local/demo/v1/events' }
  paired = { material: old, metadata: { ...metadataOf('demo', old), urls } }
  renewed = { material: next, metadata: { ...metadataOf('demo', next), urls } }
})
afterAll(() => folder.remove())

test('the route stays the same until the identity is renewed, and has the new certificate then', async () => {
  let usable = paired
  const source = { usable: () => Promise.resolve(usable), refresh: () => Promise.resolve(usable) }
  const { route, renewedRoute } = eventConnection(source, plainChoice)
  const first = await route()
  expect(first.url.href).toBe('https://gateway.kyma.local/demo/v1/events')
  expect(first.route.clientCertificate?.chain).toBe(paired.material.chain)
  expect((await route()).route).toBe(first.route)
  expect((await renewedRoute()).route).toBe(first.route)
  usable = renewed
  const second = await route()
  expect(second.route).not.toBe(first.route)
  expect(second.route.clientCertificate?.chain).toBe(renewed.material.chain)
  expect((await renewedRoute()).route).toBe(second.route)
})
