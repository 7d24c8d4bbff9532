import { afterAll, beforeAll, expect, test } from 'vitest'
import { daemonDocument, daemonLine } from '../../src/cli/commands/renew/daemon-log.js'
import type { Metadata } from '../../src/identity/identity.js'
import { usualDueRule } from '../../src/renewal/due.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf } from '../support/identities.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let metadata: Metadata
const now = new Date('2026-11-25T12:00:00.123Z')

beforeAll(async () => {
  folder = await temporaryFolder('daemon-log')
  metadata = {
    ...metadataOf('shop', await makeMaterial(folder.path, 'shop')),
    notBefore: new Date('2026-11-01T00:00:00Z'),
    notAfter: new Date('2027-02-01T00:00:00Z'),
  }
})
afterAll(async () => {
  await folder.remove()
})

test('the line for a found identity names its next renewal only where there will be one', () => {
  const line = (change: Partial<Metadata>): string =>
    daemonLine({ event: 'appeared', profile: 'shop', metadata: { ...metadata, ...change } }, usualDueRule, now)
  const found = '2026-11-25T12:00:00Z shop: found, valid until 2027-02-01T00:00:00Z'
  expect(line({}).startsWith(`${found}, next renewal 20`)).toBe(true)
  expect(line({ revokedAt: now })).toBe(found)
})

test('the next renewal of a revoked identity is null in JSON', () => {
  const event = { event: 'revoked', profile: 'shop', metadata: { ...metadata, revokedAt: now } } as const
  expect(daemonDocument(event, usualDueRule, now)).toMatchObject({ event: 'revoked', nextRenewal: null })
})
