import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { CertificateExpiredError, CertificateRevokedError, NetworkError } from '../../src/errors.js'
import type { Identity, Material, Metadata } from '../../src/identity/identity.js'
import type { IdentityStore } from '../../src/identity/store.js'
import { Keeper } from '../../src/renewal/keeper.js'
import type { PairDeps } from '../../src/pairing/policy.js'
import { Redactor } from '../../src/redaction.js'
import { renewalDate, usualDueRule } from '../../src/renewal/due.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, storeAt, plainChoice } from '../support/identities.js'

const secondMs = 1000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let materials: readonly [Material, Material]
/** Wall and monotonic clock; both are moved by the tests. */
let nowMs = 0
let monotonicMs = 0
let counts = { load: 0, locked: 0 }
let errors: Error[] = []
let changes: Identity[] = []
let store: IdentityStore

beforeAll(async () => {
  const made = await temporaryFolder('keeper-materials')
  materials = await Promise.all([makeMaterial(made.path, 'one'), makeMaterial(made.path, 'two')])
  await made.remove()
})
beforeEach(async () => {
  folder = await temporaryFolder('keeper')
  ;[errors, changes, monotonicMs] = [[], [], 0]
  counts = { load: 0, locked: 0 }
  const real = storeAt(join(folder.path, 'home'))
  store = new Proxy(real, {
    get: (target, name) => {
      if (name === 'load' || name === 'locked') counts[name]++
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
})
afterEach(() => folder.remove())

/** An identity whose gateway refuses every connection, so that each renewal fails. */
function unreachable(material: Material, more: Partial<Metadata> = {}): Metadata {
  return {
    ...metadataOf('demo', material),
    route: {
      nodePort: 1,
      resolve: [{ host: '*.kyma.local', port: null, address: '127.0.0.1' }],
      serverCa: null,
      proxy: null,
    },
    ...more,
  }
}

async function stored(metadata: Metadata, material: Material): Promise<Identity> {
  return store.locked('demo', async (change) => (await change.commit(metadata, material)).value)
}

async function keeperOf(more: Partial<Metadata> = {}): Promise<Keeper> {
  const [material] = materials
  const identity = await stored(unreachable(material, more), material)
  nowMs = identity.metadata.notBefore.getTime() + secondMs
  counts = { load: 0, locked: 0 }
  const controller = new AbortController()
  const deps: PairDeps = {
    store,
    choice: plainChoice,
    transport: {
      redactor: new Redactor(),
      trace: undefined,
      signal: controller.signal,
      now: () => monotonicMs,
      sleep: () => Promise.resolve(),
    },
    emit: () => undefined,
    now: () => new Date(nowMs),
  }
  return new Keeper(identity, deps, {
    onChange: (changed) => changes.push(changed),
    onError: (error) => errors.push(error),
  })
}

/** Moves both clocks. */
function pass(ms: number): void {
  nowMs += ms
  monotonicMs += ms
}

function untilDue(keeper: Keeper): number {
  return renewalDate(keeper.identity.metadata, usualDueRule).getTime() - nowMs
}

async function use(keeper: Keeper): Promise<void> {
  await keeper.usable()
  await keeper.settle()
}

test('it looks at the store at most every 10 seconds, however often the identity is used', async () => {
  const keeper = await keeperOf()
  for (let used = 0; used < 1000; used++) {
    await use(keeper)
    pass(100)
  }
  // 100 seconds.
  expect(counts).toEqual({ load: 9, locked: 0 })
})

test('it uses what another process has stored, and the request before that does not wait for the look', async () => {
  const keeper = await keeperOf()
  const [, other] = materials
  await stored(unreachable(other), other)
  pass(10 * secondMs)
  const { metadata: before } = await keeper.usable()
  await keeper.settle()
  const { metadata: after } = await keeper.usable()
  expect([before.fingerprint, after.fingerprint]).toEqual(
    materials.map((material) => metadataOf('demo', material).fingerprint),
  )
  expect(changes.map(({ metadata }) => metadata.fingerprint)).toEqual([after.fingerprint])
})

test('a failed renewal fails no use, is reported, and is tried again after 1, 2, 4 … 60 minutes', async () => {
  const keeper = await keeperOf()
  pass(untilDue(keeper))
  const pauses: number[] = []
  let lastMs = monotonicMs
  await use(keeper)
  while (pauses.length < 8) {
    pass(minuteMs)
    const before = errors.length
    await use(keeper)
    if (errors.length === before) continue
    pauses.push((monotonicMs - lastMs) / minuteMs)
    lastMs = monotonicMs
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
  expect(errors.map(({ constructor }) => constructor)).toEqual(Array(9).fill(NetworkError))
  expect(changes).toEqual([])
})

test('however many uses there are, one renewal runs at a time', async () => {
  const keeper = await keeperOf()
  pass(untilDue(keeper))
  await Promise.all(Array.from({ length: 50 }, () => keeper.usable()))
  await keeper.settle()
  expect([errors.length, counts.locked]).toEqual([1, 1])
})

test('renewIfDue does nothing before the certificate is due; when it is, it tries at once and reports why it failed', async () => {
  const keeper = await keeperOf()
  expect(await keeper.renewIfDue()).toBe(false)
  pass(untilDue(keeper))
  await use(keeper)
  await expect(keeper.renewIfDue()).rejects.toThrow(NetworkError)
  expect(counts.locked).toBe(2)
})

test('renewIfDue counts the renewal of another process', async () => {
  const keeper = await keeperOf()
  const [, other] = materials
  await stored(unreachable(other), other)
  expect(await keeper.renewIfDue()).toBe(true)
})

test('refresh looks at the store now, and waits for it', async () => {
  const keeper = await keeperOf()
  const [, other] = materials
  await stored(unreachable(other), other)
  const { metadata } = await keeper.refresh()
  expect(metadata.fingerprint).toBe(metadataOf('demo', other).fingerprint)
  expect(counts.load).toBe(1)
})

test('refresh waits for a renewal that is due, and returns the same identity when it fails', async () => {
  const keeper = await keeperOf()
  const { identity } = keeper
  pass(untilDue(keeper))
  expect(await keeper.refresh()).toBe(identity)
  expect(errors.map(({ constructor }) => constructor)).toEqual([NetworkError])
})

test('an expired certificate is refused after one look, with the reason why it was not renewed', async () => {
  const keeper = await keeperOf()
  pass(untilDue(keeper))
  await use(keeper)
  const tries = counts.locked
  pass(9 * dayMs)
  monotonicMs -= 9 * dayMs
  const loads = counts.load
  for (let used = 0; used < 10; used++) {
    const refused: unknown = await keeper.usable().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(CertificateExpiredError)
    expect(refused).toMatchObject({ cause: expect.any(NetworkError) as unknown })
  }
  expect([counts.load - loads, counts.locked - tries]).toEqual([1, 0])
})

test('an expired certificate that another process has replaced is not refused', async () => {
  const keeper = await keeperOf({ notAfter: new Date(Date.now() + hourMs) })
  const [, other] = materials
  await stored(unreachable(other), other)
  nowMs += 2 * hourMs
  const { metadata } = await keeper.usable()
  expect(metadata.fingerprint).toBe(metadataOf('demo', other).fingerprint)
})

test('a revoked certificate stays in use, and is reported without a request', async () => {
  const keeper = await keeperOf({ revokedAt: new Date() })
  await use(keeper)
  await use(keeper)
  expect(errors.map(({ constructor }) => constructor)).toEqual([CertificateRevokedError])
  expect(counts.locked).toBe(0)
})

test('a profile that was removed is reported, and its certificate stays in use until it expires', async () => {
  const keeper = await keeperOf()
  await store.locked('demo', (change) => change.remove())
  pass(10 * secondMs)
  await use(keeper)
  await use(keeper)
  expect(errors).toMatchObject([{ code: 'ERR_NO_IDENTITY' }])
})
