import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { LockHeldError } from '../../src/errors.js'
import { type HeldLock, type LockDeps, takeLock } from '../../src/identity/lock.js'
import { type LockFiles, lockFilesIn } from '../../src/identity/lock-files.js'
import { temporaryFolder } from '../support/certificates.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** Where the lock is, and where version 0.1.0 has it. */
let path: string
let former: string
let files: LockFiles
let count = 0
beforeAll(async () => {
  folder = await temporaryFolder('lock')
})
afterAll(() => folder.remove())
beforeEach(async () => {
  path = join(folder.path, `locks-${++count}`)
  former = join(folder.path, `former-${count}`)
  await mkdir(path)
  files = lockFilesIn(path, former)
})
afterEach(() => {
  vi.useRealTimers()
})

let random = 0
const deps = (more: Partial<LockDeps> = {}): LockDeps => ({
  pid: 100,
  hostname: 'here',
  pidNamespace: () => Promise.resolve('pid:[1]'),
  processIdentity: (pid) => Promise.resolve(pid === 100 || pid === 200 ? `started-${pid}` : undefined),
  now: () => new Date('2026-11-24T00:00:00Z'),
  randomHex: (bytes) => (++random).toString(16).padStart(bytes * 2, '0'),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  ...more,
})
const take = (more: Partial<LockDeps> = {}, patienceMs = 0): Promise<HeldLock> =>
  takeLock(files, 'demo', deps(more), patienceMs)
const entries = async (): Promise<string[]> => (await readdir(path)).sort()
const holderIn = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(path, name), 'utf8'))
const outcome = (more: Partial<LockDeps> = {}): Promise<string> =>
  take(more).then(
    (lock) => lock.release().then(() => 'taken'),
    (error: unknown) => (error instanceof LockHeldError ? 'held' : String(error)),
  )
const record = (holder: object): string =>
  `${JSON.stringify({ pid: 300, hostname: 'here', namespace: 'pid:[1]', identity: 'x', since: 'then', ...holder })}\n`
const age = (file: string): Promise<void> =>
  utimes(file, new Date(Date.now() - 120_000), new Date(Date.now() - 120_000))

describe('a lock', () => {
  test('is a numbered file that names its holder, readable by its owner alone, and gets a mark when it is released', async () => {
    const lock = await take()
    expect(await entries()).toEqual(['lock.1'])
    expect(await holderIn('lock.1')).toMatchObject({
      pid: 100,
      hostname: 'here',
      namespace: 'pid:[1]',
      identity: 'started-100',
      since: '2026-11-24T00:00:00.000Z',
    })
    expect((await stat(join(path, 'lock.1'))).mode & 0o777).toBe(0o600)
    await lock.release()
    expect(await entries()).toEqual(['lock.1', 'lock.1.released'])
  })

  test('has the next number each time it is taken, and only the highest number stays', async () => {
    for (let number = 1; number <= 12; number++) {
      const lock = await take()
      expect(await entries()).toEqual([`lock.${number}`])
      await lock.release()
      expect(await entries()).toEqual([`lock.${number}`, `lock.${number}.released`])
    }
  })

  test('is waited for, and taken when it is released in time', async () => {
    const first = await take()
    setTimeout(() => void first.release(), 250)
    const second = await take({ pid: 200 }, 20_000)
    expect(await holderIn('lock.2')).toMatchObject({ pid: 200 })
    await second.release()
  })

  test('that stays held is an error that names the holder, and since when', async () => {
    const lock = await take()
    const failure = await take({ pid: 200 }, 300).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(LockHeldError)
    expect(String(failure)).toContain('process 100 on here (since 2026-11-24T00:00:00.000Z)')
    expect(failure).toMatchObject({ details: { profile: 'demo', pid: 100, hostname: 'here' } })
    expect(await entries()).toEqual(['lock.1'])
    await lock.release()
  })

  test('has one holder however many want it at once', async () => {
    let holders = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const lock = await take({ pid: index % 2 === 0 ? 100 : 200 }, 60_000)
        most = Math.max(most, ++holders)
        await new Promise((resolve) => setTimeout(resolve, 5))
        holders--
        await lock.release()
      }),
    )
    expect(most).toBe(1)
    expect(await entries()).toEqual(['lock.8', 'lock.8.released'])
  })

  test('that cannot be completed, because the folder cannot be read any more, is released again', async () => {
    let lists = 0
    const failing = {
      ...files,
      list: () => (++lists === 2 ? Promise.reject(new Error('EIO')) : files.list()),
    }
    await expect(takeLock(failing, 'demo', deps(), 0)).rejects.toThrow('EIO')
    expect(await outcome()).toBe('taken')
  })

  test('whose folder was removed and begun anew by another process is not released by the one that lost it', async () => {
    const lock = await take()
    await rm(path, { recursive: true })
    await mkdir(path)
    const other = await take({ pid: 200 })
    await lock.release()
    expect(await entries()).toEqual(['lock.1'])
    await expect(lock.assertHeld()).rejects.toMatchObject({ reason: 'lost' })
    await other.assertHeld()
    expect(await outcome()).toBe('held')
  })
})

describe('the lock of a process that died', () => {
  test.each([
    ['is taken at once', {}],
    ['is taken at once when another process has its pid now', { pid: 200, identity: 'started-long-ago' }],
  ])('%s', async (_, holder) => {
    await writeFile(join(path, 'lock.41'), record(holder))
    expect(await outcome()).toBe('taken')
    expect(await entries()).toEqual(['lock.42', 'lock.42.released'])
  })

  test('on another machine, or in another container of the same name, is taken only after a minute of silence', async () => {
    for (const elsewhere of [{ hostname: 'there' }, { namespace: 'pid:[2]', pid: 100 }]) {
      await writeFile(join(path, 'lock.50'), record(elsewhere))
      expect(await outcome()).toBe('held')
      expect(await entries()).toContain('lock.50')
      await age(join(path, 'lock.50'))
      expect(await outcome()).toBe('taken')
      for (const name of await entries()) await rm(join(path, name))
    }
  })

  test('is not taken while it lives, however old the file is: a machine may sleep', async () => {
    await writeFile(join(path, 'lock.7'), record({ pid: 200, identity: 'started-200' }))
    await age(join(path, 'lock.7'))
    expect(await outcome()).toBe('held')
  })

  test.each(['', '{}', 'x', '[]', 'null', '{"pid":"1"}'])(
    'is not kept by a file that is not a lock: %j',
    async (content) => {
      await writeFile(join(path, 'lock.1'), content)
      expect(await outcome()).toBe('taken')
    },
  )

  test('is found dead by several at once, and one of them has it', async () => {
    await writeFile(join(path, 'lock.1'), record({}))
    let holders = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        const lock = await take({}, 60_000)
        most = Math.max(most, ++holders)
        await new Promise((resolve) => setTimeout(resolve, 5))
        holders--
        await lock.release()
      }),
    )
    expect(most).toBe(1)
  })

  test('leaves files that it had begun: they go when they are a minute old, and not before', async () => {
    await writeFile(join(path, 'lock.0123456789012345'), '')
    await writeFile(join(path, 'lock.abcdefabcdefabcd'), '')
    await age(join(path, 'lock.0123456789012345'))
    await writeFile(join(path, 'notes.txt'), 'not ours')
    expect(await outcome()).toBe('taken')
    expect(await entries()).toEqual(['lock.1', 'lock.1.released', 'lock.abcdefabcdefabcd', 'notes.txt'])
  })
})

describe('the lock of version 0.1.0', () => {
  test('is respected while its holder lives, and named', async () => {
    await writeFile(former, record({ pid: 200, identity: 'started-200' }))
    const failure = await take().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(LockHeldError)
    expect(String(failure)).toContain('process 200 on here')
    expect(await entries()).toEqual([])
  })

  test('is removed once its holder is dead', async () => {
    await writeFile(former, record({}))
    expect(await outcome()).toBe('taken')
    await expect(stat(former)).rejects.toThrow('ENOENT')
  })
})

describe('seen from another machine,', () => {
  const there = (pid: number): Partial<LockDeps> => ({ pid, hostname: `machine-${pid}` })

  test('a lock is alive as long as it is held, because its file is touched: for ten minutes of it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const lock = await take(there(1))
    const silenceMs = async (): Promise<number> => Date.now() - (await stat(join(path, 'lock.1'))).mtimeMs
    for (let minute = 0; minute < 10; minute++) {
      await age(join(path, 'lock.1'))
      vi.advanceTimersByTime(20_000)
      await vi.waitFor(async () => {
        expect(await silenceMs()).toBeLessThan(60_000)
      }, 20_000)
      expect(await outcome(there(2))).toBe('held')
    }
    await lock.release()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a process that was stopped for longer than a minute learns that it lost the lock, and to which process', async () => {
    const stopped = await take(there(1))
    await stopped.assertHeld()
    await age(join(path, 'lock.1'))
    const other = await take(there(2))
    const failure = await stopped.assertHeld().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(LockHeldError)
    expect(failure).toMatchObject({ reason: 'lost', details: { pid: 2, hostname: 'machine-2' } })
    expect(String(failure)).toContain('was lost to process 2 on machine-2')
    await other.assertHeld()
    await other.release()
    await expect(stopped.assertHeld()).rejects.toBeInstanceOf(LockHeldError)
  })

  test("a process that lost its lock does not release the other's", async () => {
    const stopped = await take(there(1))
    await age(join(path, 'lock.1'))
    const other = await take(there(2))
    await stopped.release()
    expect(await outcome(there(3))).toBe('held')
    await other.assertHeld()
    await other.release()
    expect(await outcome(there(3))).toBe('taken')
  })
})

test('a real process that was killed is seen as dead, and a real one that lives is not', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  const isAlive = (pid: number): Promise<string | undefined> =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (text) => (text.includes(') Z ') ? undefined : 'alive'),
      () => undefined,
    )
  await writeFile(join(path, 'lock.1'), record({ pid: child.pid, identity: 'alive' }))
  expect(await outcome({ processIdentity: isAlive })).toBe('held')
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
  expect(await outcome({ processIdentity: isAlive })).toBe('taken')
})
