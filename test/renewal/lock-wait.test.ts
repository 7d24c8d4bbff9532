import { afterAll, beforeAll, expect, test } from 'vitest'
import { LockHeldError } from '../../src/errors.js'
import type { Material, Metadata } from '../../src/identity/identity.js'
import type { Emit } from '../../src/progress.js'
import { Redactor } from '../../src/redaction.js'
import { type DueRule, usualDueRule } from '../../src/renewal/due.js'
import { renewIdentity } from '../../src/renewal/renew.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, plainChoice, storeAt } from '../support/identities.js'

let profiles = 0
let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  folder = await temporaryFolder('lock-wait')
})
afterAll(() => folder.remove())

/** Dates by which a certificate is due, and by which it is not. */
const dayMs = 86_400_000
const validity = (leftDays: number): Pick<Metadata, 'notBefore' | 'notAfter'> => {
  const notAfter = new Date(Date.now() + leftDays * dayMs)
  return { notAfter, notBefore: new Date(notAfter.getTime() - 92 * dayMs) }
}

/** Renews while another process holds the lock, which stores an identity before it releases the lock. */
async function renewWhile(
  profile: string,
  days: { readonly before: number; readonly after: number },
  onlyDue: DueRule | undefined,
): Promise<{ outcome: string; requests: number }> {
  const [old, other] = await Promise.all([makeMaterial(folder.path, 'old'), makeMaterial(folder.path, 'other')])
  const holder = storeAt(folder.path)
  let waits = (): void => undefined
  const isWaiting = new Promise<void>((resolve) => (waits = resolve))
  const store = storeAt(folder.path, {
    pid: 1,
    processIdentity: (pid) => Promise.resolve(pid === process.pid ? 'us' : 'me'),
    sleep: (milliseconds) => {
      waits()
      return new Promise((resolve) => setTimeout(resolve, Math.min(milliseconds, 20)))
    },
  })
  let requests = 0
  const transport = {
    redactor: new Redactor(),
    trace: undefined,
    signal: new AbortController().signal,
    now: () => performance.now(),
    sleep: () => Promise.resolve(),
  }
  const emit: Emit = (event) => {
    if (event.type === 'started') requests++
  }
  const unreachable = { nodePort: 1, resolve: [{ host: '*.kyma.local', port: null, address: '127.0.0.1' }] }
  const route = { ...unreachable, serverCa: null, proxy: null }
  const stored = (material: Material, leftDays: number): Metadata => ({
    ...metadataOf(profile, material),
    ...validity(leftDays),
    route,
  })
  await holder.locked(profile, (change) => change.commit(stored(old, days.before), old))
  let renewal: Promise<string> | undefined
  await holder.locked(profile, async (change) => {
    renewal = renewIdentity(
      profile,
      { key: { kind: 'reused' }, onlyDue, hasHook: false },
      { store, choice: plainChoice, transport, emit, now: () => new Date() },
    ).then(
      ({ outcome }) => outcome,
      () => 'failed',
    )
    await isWaiting
    await change.commit(stored(other, days.after), other)
  })
  return { outcome: (await renewal) ?? '', requests }
}

test.each([
  [
    'a newer one: it is renewed already',
    { before: 7, after: 92 },
    usualDueRule,
    { outcome: 'renewed-before', requests: 0 },
  ],
  [
    'a newer one, without --if-due too',
    { before: 7, after: 92 },
    undefined,
    { outcome: 'renewed-before', requests: 0 },
  ],
  [
    'an older one that is due: it is renewed',
    { before: 8, after: 7 },
    usualDueRule,
    { outcome: 'failed', requests: 1 },
  ],
  [
    'an older one, and a renewal was asked for now',
    { before: 80, after: 70 },
    undefined,
    { outcome: 'failed', requests: 1 },
  ],
])('after the wait for the lock the profile holds %s', async (_, days, onlyDue, expected) => {
  expect(await renewWhile(`p${profiles++}`, days, onlyDue)).toEqual(expected)
})

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
