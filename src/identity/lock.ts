import { LockHeldError } from '../errors.js'
import { parseJsonObject, valueOf } from '../json.js'
import { formerLock, type LockFiles } from './lock-files.js'

/** The process that takes a lock, and what it needs from its machine. */
export interface LockDeps {
  readonly pid: number
  readonly hostname: string
  /**
   * The scope in which a pid identifies one process: two containers may share a host name and a folder, and so may two machines. Empty on
   * platforms without namespaces.
   */
  readonly pidNamespace: () => Promise<string>
  /** Distinguishes a process from a later one with the same pid (its start time); undefined when no such process exists. */
  readonly processIdentity: (pid: number) => Promise<string | undefined>
  readonly now: () => Date
  readonly randomHex: (bytes: number) => string
  readonly sleep: (milliseconds: number) => Promise<void>
}

/** A lock that is held, until it is released or another process takes it over. */
export interface HeldLock {
  release(): Promise<void>
  /**
   * Call this right before a change that cannot be undone: a process that was stopped for longer than a minute may have lost
   * its lock to another machine or container meanwhile.
   * @throws LockHeldError with the reason `lost`
   */
  assertHeld(): Promise<void>
}

interface Holder {
  readonly pid: number
  readonly hostname: string
  readonly namespace: string
  readonly identity: string
  readonly since: string
}

/** The highest generation, 0 when there is none yet. */
interface Highest {
  readonly generation: number
  readonly released: boolean
}

export const lockTimeoutMs = 3000
const retryEveryMs = 100
const heartbeatEveryMs = 5000
/** A holder on another machine, or in another container, counts as dead when its lock was not touched for this long. */
const silentAfterMs = 60_000
/** A file that was written to become a lock, and is older than this, belongs to a process that died. */
const unfinishedForMs = 60_000

const generationName = /^lock\.([1-9][0-9]{0,14})(\.released)?$/
/** Sixteen digits: never the name of a generation. */
const unfinishedName = /^lock\.[0-9a-f]{16}$/

/**
 * Takes the lock of a profile.
 *
 * `lock.<n>` names the process that holds generation n; `lock.<n>.released`, a second name of the same file, says that the process is done.
 * A process that finds the highest generation released, or its holder dead, claims the next number by linking its own
 * complete file to it, which only one process can. It holds the lock if no higher number exists afterwards.
 *
 * Numbers are used once: the highest is never removed, only lower ones, and those mean nothing. So whatever a process finds out
 * about `lock.<n>` stays true until n + 1 exists, and a process that acts on outdated knowledge fails, or claims a number that
 * is not the highest. No step checks one file and acts on another.
 * @param patienceMs how long to wait for another process
 * @throws LockHeldError
 */
export async function takeLock(
  files: LockFiles,
  profile: string,
  deps: LockDeps,
  patienceMs: number,
): Promise<HeldLock> {
  const [identity = '', namespace] = await Promise.all([deps.processIdentity(deps.pid), deps.pidNamespace()])
  const holder = { pid: deps.pid, hostname: deps.hostname, namespace, identity, since: deps.now().toISOString() }
  for (let waitedMs = 0; ; waitedMs += retryEveryMs) {
    const lock = await new Attempt(files, profile, holder, deps).run()
    if (lock !== undefined) return lock
    if (waitedMs >= patienceMs) throw await heldByAnother(files, profile)
    await deps.sleep(retryEveryMs)
  }
}

class Attempt {
  readonly #files: LockFiles
  readonly #profile: string
  readonly #holder: Holder
  readonly #deps: LockDeps
  /** Our own file: complete before it gets the name of a generation. */
  readonly #own: string
  readonly #content: string

  constructor(files: LockFiles, profile: string, holder: Holder, deps: LockDeps) {
    this.#files = files
    this.#profile = profile
    this.#holder = holder
    this.#deps = deps
    const id = deps.randomHex(8)
    this.#own = `lock.${id}`
    // The id makes every content different, so that a process recognises its own lock.
    this.#content = `${JSON.stringify({ ...holder, id })}\n`
  }

  /** @returns the lock; undefined when another process holds it, or was faster */
  async run(): Promise<HeldLock | undefined> {
    const files = this.#files
    const { generation, released } = findHighest(await files.list())
    if (generation > 0 && !released && !(await this.#isDead(lockName(generation)))) return undefined
    if (!(await this.#isDead(formerLock))) return undefined
    const claimed = generation + 1
    await files.write(this.#own, this.#content)
    try {
      if (!(await files.link(this.#own, lockName(claimed)))) return undefined
    } finally {
      await files.remove(this.#own).catch(() => undefined)
    }
    try {
      const names = await files.list()
      const { generation: highest } = findHighest(names)
      if (highest > claimed) await files.remove(lockName(claimed))
      if (highest !== claimed) return undefined
      await this.#removeLower(claimed, names).catch(() => undefined)
    } catch (error) {
      // This process may go on running, and must not keep a lock that nothing uses.
      await files.link(lockName(claimed), releasedName(claimed)).catch(() => false)
      throw error
    }
    return this.#hold(claimed)
  }

  /** Whether the holder that a lock names has died. A lock that no longer exists was replaced by another one, so it is not dead. */
  async #isDead(name: string): Promise<boolean> {
    const content = await this.#files.read(name)
    if (content === undefined) return name === formerLock
    const holder = parseHolder(content)
    // Locks are complete when they get their name, so this file was never a lock, or a power failure ended its holder.
    if (holder === undefined) return true
    if (holder.hostname === this.#holder.hostname && holder.namespace === this.#holder.namespace) {
      return (await this.#deps.processIdentity(holder.pid)) !== holder.identity
    }
    // Both times are the file system's own, so the clocks of the machines do not matter.
    const probe = `lock.${this.#deps.randomHex(8)}`
    await this.#files.write(probe, '')
    try {
      const [theirs, ours] = await Promise.all([this.#files.changedAtMs(name), this.#files.changedAtMs(probe)])
      return theirs !== undefined && ours !== undefined && ours - theirs > silentAfterMs
    } finally {
      await this.#files.remove(probe).catch(() => undefined)
    }
  }

  #hold(generation: number): HeldLock {
    const files = this.#files
    const name = lockName(generation)
    // While this generation is the highest, the file is ours; a lower one means nothing. So a late heartbeat does no harm.
    const heartbeat = setInterval(() => {
      files.touch(name).catch(() => undefined)
    }, heartbeatEveryMs)
    heartbeat.unref()
    // A user may have removed the whole folder, so that the numbers began again.
    const isOurs = async (): Promise<boolean> => (await files.read(name)) === this.#content
    return {
      assertHeld: async () => {
        if ((await isOurs()) && findHighest(await files.list()).generation === generation) return
        throw await lostToAnother(files, this.#profile)
      },
      release: async () => {
        clearInterval(heartbeat)
        // If this fails, the lock counts as dead once the process has ended.
        if (await isOurs().catch(() => false)) await files.link(name, releasedName(generation)).catch(() => false)
      },
    }
  }

  /** Removes the generations below ours, and the files of processes that died while writing them. */
  async #removeLower(generation: number, names: readonly string[]): Promise<void> {
    const lower = names.filter((name) => generationOf(name) < generation)
    const unfinished = names.filter((name) => unfinishedName.test(name) && name !== this.#own)
    const now = unfinished.length === 0 ? undefined : await this.#files.changedAtMs(lockName(generation))
    const old = await Promise.all(
      unfinished.map(async (name) => {
        const changedAt = await this.#files.changedAtMs(name)
        return now !== undefined && changedAt !== undefined && now - changedAt > unfinishedForMs ? [name] : []
      }),
    )
    // The lock of version 0.1.0 is dead or absent here, so it can be removed as well.
    for (const name of [...lower, ...old.flat(), formerLock]) await this.#files.remove(name)
  }
}

function lockName(generation: number): string {
  return `lock.${generation}`
}

function releasedName(generation: number): string {
  return `${lockName(generation)}.released`
}

/** The generation that a file belongs to; Infinity for other files. */
function generationOf(name: string): number {
  return Number(generationName.exec(name)?.[1] ?? Infinity)
}

function findHighest(names: readonly string[]): Highest {
  const generation = Math.max(0, ...names.map(generationOf).filter(Number.isFinite))
  return { generation, released: names.includes(releasedName(generation)) }
}

async function heldByAnother(files: LockFiles, profile: string): Promise<LockHeldError> {
  const holder = (await readHighest(files)) ?? parseHolder((await files.read(formerLock).catch(() => undefined)) ?? '')
  return new LockHeldError(`the profile "${profile}" is being changed by ${describe(holder)}`, {
    hints: ['wait until it is done, then run the command again'],
    details: detailsOf(profile, holder),
  })
}

async function lostToAnother(files: LockFiles, profile: string): Promise<LockHeldError> {
  const holder = await readHighest(files)
  return new LockHeldError(
    `the lock of the profile "${profile}" was lost to ${describe(holder)}, because this process was stopped for too long`,
    { hints: ['run the command again'], reason: 'lost', details: detailsOf(profile, holder) },
  )
}

async function readHighest(files: LockFiles): Promise<Holder | undefined> {
  try {
    const { generation, released } = findHighest(await files.list())
    return released ? undefined : parseHolder((await files.read(lockName(generation))) ?? '')
  } catch {
    return undefined
  }
}

function describe(holder: Holder | undefined): string {
  return holder === undefined
    ? 'another process'
    : `process ${holder.pid} on ${holder.hostname} (since ${holder.since})`
}

function detailsOf(profile: string, holder: Holder | undefined): Record<string, unknown> {
  return { profile, pid: holder?.pid, hostname: holder?.hostname, since: holder?.since }
}

function parseHolder(content: string): Holder | undefined {
  const parsed = parseJsonObject(content)
  if (parsed === undefined) return undefined
  const pid = valueOf(parsed, 'pid')
  const [hostname, namespace, identity, since] = ['hostname', 'namespace', 'identity', 'since'].map((name) => {
    const value = valueOf(parsed, name)
    return typeof value === 'string' ? value : undefined
  })
  if (typeof pid !== 'number') return undefined
  if (hostname === undefined || namespace === undefined || identity === undefined || since === undefined)
    return undefined
  return { pid, hostname, namespace, identity, since }
}
