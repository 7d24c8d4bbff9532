import { afterAll, beforeAll, expect, test } from 'vitest'
import { LockHeldError } from '../../src/errors.js'
import { Redactor } from '../../src/redaction.js'
import { renewIdentity } from '../../src/renewal/renew.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, plainChoice, storeAt } from '../support/identities.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  folder = await temporaryFolder('lock-wait')
})
afterAll(() => folder.remove())

test('a renewal waits a minute for another process that changes the profile, and sends nothing', async () => {
  const material = await makeMaterial(folder.path, 'demo')
  const metadata = metadataOf('demo', material)
  const waitedMs: number[] = []
  const other = storeAt(folder.path)
  const store = storeAt(folder.path, {
    pid: 1,
    processIdentity: (pid) => Promise.resolve(pid === process.pid ? 'us' : 'me'),
    sleep: (milliseconds) => {
      waitedMs.push(milliseconds)
      return Promise.resolve()
    },
  })
  const transport = {
    redactor: new Redactor(),
    trace: () => {
      throw new Error('a request was sent')
    },
    signal: new AbortController().signal,
    now: () => 0,
    sleep: () => Promise.resolve(),
  }
  await other.locked('demo', async (change) => {
    await change.commit(metadata, material)
    const renewal = renewIdentity(
      'demo',
      { key: { kind: 'reused' }, onlyDue: undefined, hasHook: false },
      { store, choice: plainChoice, transport, emit: () => undefined, now: () => new Date() },
    )
    await expect(renewal).rejects.toThrow(LockHeldError)
  })
  const total = waitedMs.reduce((sum, each) => sum + each, 0)
  expect(total).toBeGreaterThanOrEqual(59_000)
  expect(total).toBeLessThanOrEqual(61_000)
})
