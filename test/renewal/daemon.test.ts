import { describe, expect, test } from 'vitest'
import { FilesError, HookFailedError, NetworkError, NoIdentityError, TerminatedError } from '../../src/errors.js'
import type { KyconnectError } from '../../src/errors.js'
import type { Metadata } from '../../src/identity/identity.js'
import type { ProfileSummary } from '../../src/identity/store.js'
import { Daemon, type DaemonOptions } from '../../src/renewal/daemon.js'
import type { DaemonEvent } from '../../src/renewal/daemon-event.js'
import { formatCounters } from '../../src/renewal/daemon-metrics.js'
import { certificateState, usualDueRule } from '../../src/renewal/due.js'
import type { RenewalResult } from '../../src/renewal/run.js'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** A machine and a service on a simulated clock: hours of the daemon take milliseconds. */
class World {
  readonly begin = Date.UTC(2026, 10, 25)
  /** Milliseconds on the monotonic clock, and what the wall clock is off by. The service's clock is right. */
  elapsed = 0
  clockOffMs = 0
  readonly store = new Map<string, Metadata>()
  readonly damaged = new Map<string, KyconnectError>()
  storeProblem: KyconnectError | undefined
  /** Renewals of these profiles fail. */
  readonly failing = new Map<string, KyconnectError>()
  hookError: KyconnectError | undefined
  forgetsHook = true
  random = (): number => 1
  /** Called after each pause; true rings the alarm. */
  step: () => boolean | undefined = () => undefined
  duringRun: () => void = () => undefined
  readonly events: (DaemonEvent & { readonly at: number })[] = []
  readonly pauses: number[] = []
  readonly runs: { at: number; profiles: readonly string[] }[] = []
  readonly renewals: { at: number; profile: string }[] = []
  readonly hooks: { at: number; profiles: readonly string[] }[] = []
  readonly daemon: Daemon
  readonly #controller = new AbortController()
  readonly #options: DaemonOptions
  #end = 0
  #signed = 0

  constructor(options: Partial<DaemonOptions> = {}) {
    this.#options = { profile: undefined, rule: usualDueRule, hasHook: false, ...options }
    this.daemon = new Daemon(this.#options, {
      now: () => new Date(this.wall()),
      monotonic: () => this.elapsed,
      random: () => this.random(),
      signal: this.#controller.signal,
      emit: (event) => this.events.push({ ...event, at: this.elapsed }),
      sleep: (milliseconds) => this.#sleep(milliseconds),
      summaries: () => this.#summaries(),
      run: (profiles, onResult) => this.#run(profiles, onResult),
    })
  }

  wall(): number {
    return this.begin + this.elapsed + this.clockOffMs
  }

  /** A certificate as the service signs it now. */
  sign(profile: string, lifetimeMs: number, about: Partial<Metadata> = {}): Metadata {
    const notBefore = new Date(this.begin + this.elapsed)
    this.#signed += 1
    const metadata: Metadata = {
      profile,
      app: profile,
      commonName: profile,
      subject: `CN=${profile}`,
      // Half of the spread of 1/20 of the lifetime.
      fingerprint: `80000000${this.#signed.toString(16).padStart(56, '0')}`,
      notBefore,
      notAfter: new Date(notBefore.getTime() + lifetimeMs),
      gatewayHost: null,
      acceptedHosts: [],
      connectorHost: 'connector-service.kyma.local',
      urls: {},
      route: { nodePort: null, resolve: [], serverCa: null, proxy: null },
      insecure: false,
      pairedAt: notBefore,
      obtainedAt: new Date(0),
      revokedAt: null,
      rejectedAt: null,
      hookPending: false,
      ...about,
    }
    this.store.set(profile, metadata)
    return metadata
  }

  /** A certificate of 92 days that had 20 days left at the beginning. */
  signDue(profile: string): Metadata {
    const [notBefore, notAfter] = [new Date(this.begin - 72 * day), new Date(this.begin + 20 * day)]
    return this.sign(profile, 92 * day, { notBefore, notAfter })
  }

  /** Runs the daemon for a while. */
  async runFor(milliseconds: number): Promise<void> {
    this.#end = this.elapsed + milliseconds
    await expect(this.daemon.run()).rejects.toThrow('enough')
  }

  said(...names: DaemonEvent['event'][]): string[] {
    return this.events
      .filter(({ event }) => names.length === 0 || names.includes(event))
      .map((event) => ('profile' in event ? `${event.event} ${event.profile}` : event.event))
  }

  #sleep(milliseconds: number): Promise<'elapsed' | 'rung'> {
    this.pauses.push(milliseconds)
    this.elapsed += milliseconds
    if (this.elapsed >= this.#end) return Promise.reject(new TerminatedError('enough'))
    return Promise.resolve(this.step() === true ? 'rung' : 'elapsed')
  }

  #summaries(): Promise<ProfileSummary[]> {
    if (this.storeProblem !== undefined) return Promise.reject(this.storeProblem)
    const damaged = [...this.damaged].map(([profile, problem]) => ({ profile, problem }))
    const stored = [...this.store].map(([profile, metadata]) => ({ profile, metadata }))
    return Promise.resolve([...stored.filter(({ profile }) => !this.damaged.has(profile)), ...damaged])
  }

  #run(
    profiles: readonly string[],
    onResult: (result: RenewalResult) => void,
  ): Promise<{ results: RenewalResult[]; hookProfiles: string[]; hookError: KyconnectError | undefined }> {
    this.runs.push({ at: this.elapsed, profiles })
    this.duringRun()
    const results = profiles.map((profile) => this.#renew(profile))
    results.forEach(onResult)
    const waiting = profiles.filter((profile) => this.store.get(profile)?.hookPending === true)
    if (!this.#options.hasHook || waiting.length === 0)
      return Promise.resolve({ results, hookProfiles: [], hookError: undefined })
    this.hooks.push({ at: this.elapsed, profiles: waiting })
    for (const profile of waiting) {
      const metadata = this.store.get(profile)
      if (metadata !== undefined && this.hookError === undefined && this.forgetsHook)
        this.store.set(profile, { ...metadata, hookPending: false })
    }
    return Promise.resolve({ results, hookProfiles: waiting, hookError: this.hookError })
  }

  #renew(profile: string): RenewalResult {
    const metadata = this.store.get(profile)
    const error =
      metadata === undefined
        ? new NoIdentityError('no identity is stored under this profile')
        : this.failing.get(profile)
    if (metadata === undefined || error !== undefined)
      return { profile, outcome: 'failed', error: error ?? new NoIdentityError('gone') }
    if (certificateState(metadata, this.#options.rule, new Date(this.wall())) !== 'due')
      return { profile, outcome: 'not-due', metadata }
    this.renewals.push({ at: this.elapsed, profile })
    const lifetimeMs = metadata.notAfter.getTime() - metadata.notBefore.getTime()
    return {
      profile,
      outcome: 'renewed',
      metadata: this.sign(profile, lifetimeMs, { hookPending: this.#options.hasHook }),
    }
  }
}

const refused = (): NetworkError => new NetworkError('connection refused', { reason: 'ECONNREFUSED' })
/** How far apart the entries of a list are. */
const gaps = (list: readonly { at: number }[]): number[] =>
  list.slice(1).map(({ at }, index) => at - (list[index]?.at ?? 0))

describe('what is due', () => {
  test('a certificate of 92 days is renewed when a third of its lifetime is left, within a minute, and nothing is asked for before', async () => {
    const world = new World()
    world.sign('shop', 92 * day)
    await world.runFor(130 * day)
    const dueMs = 92 * day * (2 / 3 - 1 / 40)
    expect(world.renewals).toHaveLength(2)
    for (const gap of gaps([{ at: 0 }, ...world.renewals])) {
      expect(gap).toBeGreaterThanOrEqual(dueMs)
      expect(gap).toBeLessThanOrEqual(dueMs + 2 * minute)
    }
    expect(world.runs).toHaveLength(2)
    expect(new Set(world.pauses)).toEqual(new Set([minute]))
    expect(world.said()).toEqual(['appeared shop', 'due shop', 'renewed shop', 'due shop', 'renewed shop'])
  })

  test.each([
    [20 * second, second],
    [10 * minute, 30 * second],
    [20 * minute, minute],
    [92 * day, minute],
  ])('with a lifetime of %i ms the store is looked at every %i ms', async (lifetimeMs, pauseMs) => {
    const world = new World()
    world.sign('shop', lifetimeMs)
    world.sign('erp', 92 * day)
    await world.runFor(pauseMs)
    expect(world.pauses).toEqual([pauseMs])
  })

  test('an empty store is looked at every minute, and identities are found, noticed when they change, and forgotten', async () => {
    const world = new World()
    let looks = 0
    world.step = () => {
      looks += 1
      if (looks === 2) world.sign('shop', 92 * day)
      if (looks === 4) world.sign('shop', 92 * day)
      if (looks === 6) world.store.clear()
      return false
    }
    await world.runFor(10 * minute)
    expect(world.said()).toEqual(['appeared shop', 'changed shop', 'gone shop'])
    expect(world.runs).toEqual([])
    expect(world.daemon.counters).toEqual([])
  })

  test('with a named profile the others are left alone, and the named one may not exist yet', async () => {
    const world = new World({ profile: 'shop' })
    world.sign('erp', hour)
    world.step = () => {
      if (world.elapsed === 30 * minute) world.sign('shop', hour)
      return false
    }
    await world.runFor(50 * minute + 30 * minute)
    expect(world.said()).toEqual(['appeared shop', 'due shop', 'renewed shop'])
    expect(world.daemon.summaries.map(({ profile }) => profile)).toEqual(['shop'])
  })
})

describe('clocks', () => {
  test.each([
    ['a day fast from the start', () => day],
    ['a day slow from the start', () => -day],
    ['a day fast, then a day slow', (elapsed: number) => (elapsed < 50 * day ? day : -day)],
    ['jumping back and forth with each look', (elapsed: number) => (elapsed % (2 * minute) === 0 ? day : -day)],
  ])('a wall clock %s: every certificate is renewed in time and no more often than usual', async (_, offMs) => {
    const world = new World()
    world.sign('shop', 92 * day)
    world.step = () => {
      world.clockOffMs = offMs(world.elapsed)
      const expiry = world.store.get('shop')?.notAfter.getTime() ?? 0
      expect(world.begin + world.elapsed).toBeLessThan(expiry - 25 * day)
      return false
    }
    await world.runFor(130 * day)
    expect(world.renewals.length).toBeGreaterThanOrEqual(2)
    expect(world.renewals.length).toBeLessThanOrEqual(3)
    expect(world.said('failed', 'expired')).toEqual([])
  })

  test('a machine that was suspended for a month looks at the clock when it wakes, and renews', async () => {
    const world = new World()
    world.sign('shop', 92 * day)
    world.step = () => {
      // The monotonic clock does not count the time asleep.
      if (world.elapsed === 40 * day) world.clockOffMs = 30 * day
      return false
    }
    await world.runFor(40 * day + 5 * minute)
    expect(world.renewals.map(({ at }) => at)).toEqual([40 * day])
  })

  test('a clock that makes each new certificate look due does not make the service sign one after the other', async () => {
    const world = new World()
    world.sign('shop', 92 * day)
    world.clockOffMs = 70 * day
    await world.runFor(30 * day)
    expect(world.renewals.length).toBeGreaterThan(1)
    for (const gap of gaps(world.renewals)) expect(gap).toBeGreaterThanOrEqual((92 * day) / 20)
  })

  test('a clock so fast that the certificate looks expired sends nothing, says so, and goes on once the clock is right', async () => {
    const world = new World()
    world.sign('shop', 10 * hour)
    world.step = () => {
      world.clockOffMs = world.elapsed >= 4 * hour && world.elapsed < 5 * hour ? day : 0
      return false
    }
    await world.runFor(9 * hour)
    expect(world.said()).toEqual(['appeared shop', 'expired shop', 'recovered shop', 'due shop', 'renewed shop'])
  })

  test('a jump of the clock does not stretch the pause after a failure', async () => {
    const world = new World()
    world.signDue('shop')
    world.failing.set('shop', refused())
    world.step = () => {
      if (world.elapsed === minute) world.clockOffMs = 10 * day
      if (world.elapsed > minute) world.clockOffMs = -day / 2
      return false
    }
    await world.runFor(day)
    expect(Math.max(...gaps(world.runs))).toBeLessThanOrEqual(hour + minute)
  })
})

describe('failures', () => {
  test('the pause doubles from a minute to an hour, and an error is reported once', async () => {
    const world = new World()
    world.signDue('shop')
    world.failing.set('shop', refused())
    await world.runFor(12 * hour)
    expect(gaps(world.runs).map((gap) => gap / minute)).toEqual(
      [1, 2, 4, 8, 16, 32, ...Array<number>(11).fill(60)].slice(0, gaps(world.runs).length),
    )
    expect(gaps(world.runs).length).toBeGreaterThan(14)
    expect(world.said()).toEqual(['appeared shop', 'due shop', 'failed shop'])
    expect(formatCounters(world.daemon)).toContain(
      `kyconnect_renewal_failures_total{profile="shop"} ${world.runs.length}\n`,
    )
  })

  test('the pause is a random part of its limit, and never shorter than a second', async () => {
    const world = new World()
    world.signDue('shop')
    world.failing.set('shop', refused())
    let turn = 0
    world.random = () => [0.001, 0.5, 0.25, 0.99, 0.1][turn++ % 5] ?? 0
    await world.runFor(day)
    const limits = gaps(world.runs).map((_, index) => minute * Math.min(60, 2 ** index))
    gaps(world.runs).forEach((gap, index) => {
      const part = [0.001, 0.5, 0.25, 0.99, 0.1][index % 5] ?? 0
      expect(gap).toBeGreaterThanOrEqual(Math.max(second, part * (limits[index] ?? 0)))
      // The daemon looks every minute, and at the moment of a retry.
      expect(gap).toBeLessThanOrEqual(part * (limits[index] ?? 0) + 2 * second)
    })
  })

  test('for a certificate of seconds the pauses are shorter in proportion', async () => {
    const world = new World()
    world.sign('shop', 20 * second)
    world.failing.set('shop', refused())
    world.random = () => 0.5
    await world.runFor(19 * second)
    expect(world.runs.length).toBeGreaterThanOrEqual(3)
  })

  test('another error is reported, the same one again is not, and the success afterwards is, with the number of failures', async () => {
    const world = new World()
    world.signDue('shop')
    world.failing.set('shop', refused())
    world.step = () => {
      if (world.runs.length === 3)
        world.failing.set('shop', new NetworkError('host not found', { reason: 'ENOTFOUND' }))
      if (world.runs.length === 5) world.failing.delete('shop')
      return false
    }
    await world.runFor(2 * hour)
    expect(world.said()).toEqual(['appeared shop', 'due shop', 'failed shop', 'failed shop', 'renewed shop'])
    expect(world.events.at(-1)).toMatchObject({ event: 'renewed', failures: 5 })
  })

  test('one that fails does not keep the others from being renewed, and has its own pauses', async () => {
    const world = new World()
    world.sign('shop', 3 * hour)
    world.sign('erp', 3 * hour)
    world.failing.set('shop', refused())
    await world.runFor(10 * hour)
    expect(world.renewals.map(({ profile }) => profile)).toEqual(['erp', 'erp', 'erp', 'erp', 'erp'])
    expect(world.said('failed', 'expired')).toEqual(['failed shop', 'expired shop'])
  })

  test('SIGHUP tries again at once, and forgets how often it had failed', async () => {
    const world = new World()
    world.signDue('shop')
    world.failing.set('shop', refused())
    world.step = () => world.elapsed === 200 * minute
    await world.runFor(5 * hour)
    const at = world.runs.map((run) => run.at / minute)
    expect(at.filter((time) => time >= 180)).toEqual([183, 200, 201, 203, 207, 215, 231, 263])
  })

  test('a new fingerprint ends the pause: the profile was paired again', async () => {
    const world = new World()
    world.signDue('shop')
    world.failing.set('shop', refused())
    world.step = () => {
      if (world.elapsed === 200 * minute) world.signDue('shop')
      return false
    }
    await world.runFor(5 * hour)
    expect(world.runs.map((run) => run.at / minute).filter((time) => time >= 180)).toEqual([
      183, 200, 201, 203, 207, 215, 231, 263,
    ])
    expect(world.said()).toEqual([
      'appeared shop',
      'due shop',
      'failed shop',
      'changed shop',
      'due shop',
      'failed shop',
    ])
  })

  test('an identity that is removed or paired again during the run has not failed', async () => {
    const world = new World()
    world.signDue('shop')
    world.signDue('erp')
    world.failing.set('erp', refused())
    world.duringRun = () => {
      world.store.delete('shop')
      world.sign('erp', 92 * day)
    }
    await world.runFor(hour)
    expect(world.said()).toEqual(['appeared shop', 'appeared erp', 'due shop', 'due erp', 'gone shop', 'changed erp'])
    expect(world.daemon.counters).toEqual([{ profile: 'erp', renewals: 0, failures: 0 }])
    expect(world.runs).toHaveLength(1)
  })

  test('a run that fails as a whole counts for each identity in it', async () => {
    const world = new World()
    world.signDue('shop')
    let shallFail = true
    world.duringRun = () => {
      if (shallFail) throw new FilesError('the CA file cannot be read')
    }
    world.step = () => {
      shallFail = world.runs.length < 3
      return false
    }
    await world.runFor(hour)
    expect(world.said()).toEqual(['appeared shop', 'due shop', 'failed shop', 'renewed shop'])
  })

  test('a mistake in the program ends the daemon', async () => {
    const world = new World()
    world.signDue('shop')
    world.duringRun = () => {
      throw new TypeError('a mistake')
    }
    await expect(world.daemon.run()).rejects.toThrow('a mistake')
  })
})

test('after a rejected certificate, a twentieth of the lifetime passes before the next attempt', async () => {
  const world = new World()
  const rejected = world.signDue('shop')
  world.store.set('shop', { ...rejected, rejectedAt: new Date(world.begin - 4 * day) })
  await world.runFor(day)
  // 92 days / 20 = 4.6 days.
  expect(world.runs.map(({ at }) => Math.round((at / day) * 100) / 100)).toEqual([0.6])
})

describe('identities that need a person', () => {
  test('expired and revoked ones are reported once and not tried; they continue when they are paired again', async () => {
    const world = new World()
    world.sign('old', hour, { notAfter: new Date(world.begin - hour) })
    world.sign('revoked', 2 * hour, { revokedAt: new Date(world.begin) })
    world.sign('shop', 2 * hour)
    world.step = () => {
      if (world.elapsed === 100 * minute) world.sign('revoked', 2 * hour)
      return false
    }
    await world.runFor(119 * minute)
    expect(world.said()).toEqual([
      'appeared old',
      'expired old',
      'appeared revoked',
      'revoked revoked',
      'appeared shop',
      'due shop',
      'renewed shop',
      'changed revoked',
    ])
    expect(world.runs.flatMap(({ profiles }) => profiles)).toEqual(['shop'])
  })

  test('one that the service refuses to renew because it is revoked is reported as revoked, not as failed', async () => {
    const world = new World()
    const metadata = world.signDue('shop')
    world.failing.set('shop', refused())
    world.duringRun = () => world.store.set('shop', { ...metadata, revokedAt: new Date(world.wall()) })
    await world.runFor(day)
    expect(world.said()).toEqual(['appeared shop', 'due shop', 'revoked shop'])
    expect(world.runs).toHaveLength(1)
  })

  test('a damaged one is reported when it is damaged at the second look too, and once', async () => {
    const world = new World()
    world.sign('shop', 92 * day)
    const damage = new FilesError('a file is missing')
    world.damaged.set('shop', damage)
    world.step = () => {
      if (world.elapsed === 10 * minute + second) world.damaged.clear()
      return false
    }
    await world.runFor(hour)
    expect(world.pauses.slice(0, 3)).toEqual([second, minute, minute])
    expect(world.said()).toEqual(['unusable shop', 'changed shop'])
  })

  test('one that is damaged for a moment, while another process removes it, is not reported', async () => {
    const world = new World()
    world.sign('shop', 92 * day)
    world.step = () => {
      world.damaged.clear()
      if (world.elapsed === 10 * minute) world.damaged.set('shop', new FilesError('a file is missing'))
      return false
    }
    await world.runFor(hour)
    expect(world.said()).toEqual(['appeared shop'])
  })

  test('a store that cannot be read is reported once, and when it can be read again', async () => {
    const world = new World()
    world.sign('shop', 92 * day)
    world.step = () => {
      world.storeProblem =
        world.elapsed >= 10 * minute && world.elapsed < 20 * minute ? new FilesError('permission denied') : undefined
      return false
    }
    await world.runFor(hour)
    expect(world.said()).toEqual(['appeared shop', 'store-failed', 'store-recovered'])
  })
})

describe('the hook', () => {
  test('runs after a renewal; when it fails it is repeated with doubling pauses, without renewing again, and reported once', async () => {
    const world = new World({ hasHook: true })
    world.signDue('shop')
    world.hookError = new HookFailedError('it exited with code 1', { details: { end: 1 } })
    world.step = () => {
      if (world.hooks.length === 5) world.hookError = undefined
      return false
    }
    await world.runFor(day)
    expect(gaps(world.hooks).map((gap) => gap / minute)).toEqual([1, 2, 4, 8, 16])
    expect(world.renewals).toHaveLength(1)
    expect(world.said()).toEqual(['appeared shop', 'due shop', 'renewed shop', 'hook-failed', 'hook-succeeded'])
  })

  test('that another run left pending is run without a renewal', async () => {
    const world = new World({ hasHook: true })
    world.sign('shop', 92 * day, { hookPending: true })
    await world.runFor(hour)
    expect([world.hooks.length, world.renewals.length, world.runs.length]).toEqual([1, 0, 1])
  })

  test('that is pending is left pending where no hook was given', async () => {
    const world = new World()
    world.sign('shop', 92 * day, { hookPending: true })
    await world.runFor(hour)
    expect(world.runs).toEqual([])
  })

  test('whose success cannot be recorded is not run again with every look', async () => {
    const world = new World({ hasHook: true })
    world.sign('shop', 92 * day, { hookPending: true })
    world.forgetsHook = false
    await world.runFor(10 * hour)
    expect(world.hooks.length).toBeLessThan(16)
  })
})

describe('health', () => {
  test('is bad before the first look, and while the store cannot be read', async () => {
    const world = new World()
    expect(world.daemon.problems()).toEqual(['the stored identities have not been read yet'])
    world.storeProblem = new FilesError('permission denied')
    await world.runFor(minute)
    expect(world.daemon.problems()).toEqual(['permission denied'])
  })

  test('is bad when an identity has expired, been revoked, is damaged, or is overdue; not while a failed renewal has time left', async () => {
    const world = new World()
    world.sign('expired', hour, { notAfter: new Date(world.begin - hour) })
    world.sign('revoked', 92 * day, { revokedAt: new Date(world.begin) })
    world.damaged.set('damaged', new FilesError('a file is missing'))
    world.sign('fine', 92 * day)
    world.signDue('late')
    world.failing.set('late', refused())
    await world.runFor(2 * minute)
    const others = [
      'expired: the certificate has expired',
      'revoked: the certificate has been revoked',
      'damaged: the identity cannot be used',
    ]
    expect(new Set(world.daemon.problems())).toEqual(new Set(others))
    await world.runFor(6 * day)
    expect(new Set(world.daemon.problems())).toEqual(new Set([...others, 'late: the renewal is overdue']))
  })
})
