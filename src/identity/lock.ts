import { link, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { hasErrorCode, LockHeldError } from '../errors.js'
import { writeOwnFile } from './durable-files.js'

/** Held while a profile is changed. */
export interface Lock {
  release(): Promise<void>
}

/** Who takes a lock, and what of the machine that takes. */
export interface LockDeps {
  readonly pid: number
  readonly hostname: string
  /** Where pids are told apart: two containers may well have one host name and one folder between them. Empty where there is no such thing. */
  readonly pidNamespace: () => Promise<string>
  /** Tells a process apart from a later one with the same pid (its start time); undefined when there is no such process. */
  readonly processIdentity: (pid: number) => Promise<string | undefined>
  readonly now: () => Date
  readonly randomHex: (bytes: number) => string
  readonly sleep: (milliseconds: number) => Promise<void>
}

interface Holder {
  readonly pid: number
  readonly hostname: string
  readonly namespace: string
  readonly identity: string
  readonly since: string
}

/** Milliseconds. */
export const lockTimeoutMs = 3000
const waitBetween = 100
const heartbeatEvery = 5000
/** A lock of another machine, or another container, that was not touched for so long is of a process that died. */
const silentFor = 60_000

/**
 * Takes the lock of a profile: a file that appears in one step with its holder's name in it. The lock of a process that died,
 * also by kill -9, is taken over.
 * @param patience milliseconds to wait for another process
 * @throws LockHeldError
 */
export async function takeLock(path: string, profile: string, deps: LockDeps, patience: number): Promise<Lock> {
  const own = `${path}.${deps.randomHex(8)}`
  const [identity = '', namespace] = await Promise.all([deps.processIdentity(deps.pid), deps.pidNamespace()])
  const holder: Holder = {
    pid: deps.pid,
    hostname: deps.hostname,
    namespace,
    identity,
    since: deps.now().toISOString(),
  }
  const content = `${JSON.stringify(holder)}\n`
  try {
    await writeOwnFile(own, content)
    for (let waited = 0; ; waited += waitBetween) {
      if (await linkTo(own, path)) return held(path, content)
      await removeIfDead(path, own, holder, deps)
      if (waited >= patience) throw await heldBy(path, profile)
      await deps.sleep(waitBetween)
    }
  } finally {
    await unlink(own).catch(() => undefined)
  }
}

async function linkTo(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path)
    return true
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return false
    throw error
  }
}

function held(path: string, content: string): Lock {
  const heartbeat = setInterval(() => {
    touch(path).catch(() => undefined)
  }, heartbeatEvery)
  heartbeat.unref()
  return {
    release: async () => {
      clearInterval(heartbeat)
      // Only our own: it may have been taken over, were we stopped for long.
      if ((await readFile(path, 'utf8').catch(() => '')) === content) await unlink(path).catch(() => undefined)
    },
  }
}

/** Sets a lock file's time to the file system's now, by writing its first byte again. */
async function touch(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.write('{', 0)
  } finally {
    await file.close()
  }
}

async function removeIfDead(path: string, own: string, we: Holder, deps: LockDeps): Promise<void> {
  const content = await readFile(path, 'utf8').catch(() => undefined)
  if (content === undefined || !(await isDead(path, own, content, we, deps))) return
  // Two may find it dead at once: what was moved aside must still be what was judged.
  const aside = `${own}.dead`
  try {
    await rename(path, aside)
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return
    throw error
  }
  if ((await readFile(aside, 'utf8')) !== content) await link(aside, path).catch(() => undefined)
  await unlink(aside)
}

async function isDead(path: string, own: string, content: string, we: Holder, deps: LockDeps): Promise<boolean> {
  const holder = parseHolder(content)
  // Written in one step, so what cannot be read was never a lock of ours.
  if (holder === undefined) return true
  if (holder.hostname === we.hostname && holder.namespace === we.namespace) {
    return (await deps.processIdentity(holder.pid)) !== holder.identity
  }
  // Both times are the file system's own, so clocks of different machines do not matter.
  await touch(own)
  const [theirs, ours] = await Promise.all([stat(path).catch(() => undefined), stat(own)])
  return theirs !== undefined && ours.mtimeMs - theirs.mtimeMs > silentFor
}

async function heldBy(path: string, profile: string): Promise<LockHeldError> {
  const holder = parseHolder(await readFile(path, 'utf8').catch(() => ''))
  const who =
    holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.hostname} (since ${holder.since})`
  return new LockHeldError(`the profile "${profile}" is being changed by ${who}`, {
    hints: ['wait until it is done and run the command again'],
    details: { profile, pid: holder?.pid, hostname: holder?.hostname, since: holder?.since },
  })
}

function parseHolder(content: string): Holder | undefined {
  try {
    const parsed: unknown = JSON.parse(content)
    if (typeof parsed !== 'object' || parsed === null) return undefined
    const pid: unknown = Reflect.get(parsed, 'pid')
    const [hostname, namespace, identity, since] = ['hostname', 'namespace', 'identity', 'since'].map((name) => {
      const value: unknown = Reflect.get(parsed, name)
      return typeof value === 'string' ? value : undefined
    })
    if (typeof pid !== 'number') return undefined
    if (hostname === undefined || namespace === undefined || identity === undefined || since === undefined)
      return undefined
    return { pid, hostname, namespace, identity, since }
  } catch {
    return undefined
  }
}
