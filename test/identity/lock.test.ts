import { spawn } from 'node:child_process'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LockHeldError } from '../../src/errors.js'
import { type LockDeps, takeLock } from '../../src/identity/lock.js'
import { temporaryFolder } from '../support/certificates.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let path: string
let count = 0
beforeAll(async () => {
  folder = await temporaryFolder('lock')
})
afterAll(() => folder.remove())
beforeEach(() => {
  path = join(folder.path, `lock-${++count}`)
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
const leftovers = async (): Promise<string[]> =>
  (await readdir(folder.path)).filter((name) => name.startsWith(`lock-${count}`))

describe('a lock', () => {
  test('is a file with the name of its holder, and gone when it is released', async () => {
    const lock = await takeLock(path, 'demo', deps(), 0)
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      pid: 100,
      hostname: 'here',
      namespace: 'pid:[1]',
      identity: 'started-100',
      since: '2026-11-24T00:00:00.000Z',
    })
    expect(await leftovers()).toEqual([`lock-${count}`])
    await lock.release()
    expect(await leftovers()).toEqual([])
  })

  test('is waited for, and taken when it is released in time', async () => {
    const first = await takeLock(path, 'demo', deps(), 0)
    setTimeout(() => void first.release(), 250)
    const second = await takeLock(path, 'demo', deps({ pid: 200 }), 3000)
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ pid: 200 })
    await second.release()
  })

  test('that is held on is told, with the holder and since when', async () => {
    const lock = await takeLock(path, 'demo', deps(), 0)
    const failure = await takeLock(path, 'demo', deps({ pid: 200 }), 300).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(LockHeldError)
    expect(String(failure)).toContain('process 100 on here (since 2026-11-24T00:00:00.000Z)')
    expect(await leftovers()).toEqual([`lock-${count}`])
    await lock.release()
  })

  test('has one holder however many want it at once', async () => {
    let holders = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const lock = await takeLock(path, 'demo', deps({ pid: index % 2 === 0 ? 100 : 200 }), 20_000)
        most = Math.max(most, ++holders)
        await new Promise((resolve) => setTimeout(resolve, 5))
        holders--
        await lock.release()
      }),
    )
    expect(most).toBe(1)
  })
})

describe('the lock of a process that died', () => {
  const left = async (holder: object): Promise<void> => {
    await writeFile(
      path,
      `${JSON.stringify({ pid: 300, hostname: 'here', namespace: 'pid:[1]', identity: 'x', since: 'then', ...holder })}\n`,
    )
  }
  const old = (): Promise<void> => utimes(path, new Date(Date.now() - 120_000), new Date(Date.now() - 120_000))
  const attempt = (): Promise<string> =>
    takeLock(path, 'demo', deps(), 150).then(
      (lock) => lock.release().then(() => 'taken'),
      (error: unknown) => (error instanceof LockHeldError ? 'held' : String(error)),
    )

  test.each([
    ['is taken over', {}],
    ['is taken over when another process has its pid now', { pid: 200, identity: 'started-long-ago' }],
  ])('%s', async (_, holder) => {
    await left(holder)
    expect(await attempt()).toBe('taken')
    expect(await leftovers()).toEqual([])
  })

  test('on another machine, or in another container of the same name, is taken over only when it was silent for a minute', async () => {
    for (const elsewhere of [{ hostname: 'there' }, { namespace: 'pid:[2]', pid: 100 }]) {
      await left(elsewhere)
      expect(await attempt()).toBe('held')
      await old()
      expect(await attempt()).toBe('taken')
    }
  })

  test('a live one is not taken over however old the file is: a holder may sleep', async () => {
    await left({ pid: 200, identity: 'started-200' })
    await old()
    expect(await attempt()).toBe('held')
  })

  test.each(['', '{}', 'x', '[]', 'null', '{"pid":"1"}'])('what was never a lock, %j, is none', async (content) => {
    await writeFile(path, content)
    expect(await attempt()).toBe('taken')
  })

  test('is found dead by several at once, and one of them has it', async () => {
    await left({})
    let holders = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        const lock = await takeLock(path, 'demo', deps(), 20_000)
        most = Math.max(most, ++holders)
        await new Promise((resolve) => setTimeout(resolve, 5))
        holders--
        await lock.release()
      }),
    )
    expect(most).toBe(1)
    expect(await leftovers()).toEqual([])
  })
})

test('a real process that was killed is seen as dead, and a real one that lives is not', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  const isAlive = (pid: number): Promise<string | undefined> =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (text) => (text.includes(') Z ') ? undefined : 'alive'),
      () => undefined,
    )
  await writeFile(
    path,
    JSON.stringify({ pid: child.pid, hostname: 'here', namespace: 'pid:[1]', identity: 'alive', since: 'now' }),
  )
  await expect(takeLock(path, 'demo', deps({ processIdentity: isAlive }), 150)).rejects.toBeInstanceOf(LockHeldError)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
  await (
    await takeLock(path, 'demo', deps({ processIdentity: isAlive }), 0).catch(() =>
      takeLock(path, 'demo', deps({ processIdentity: isAlive }), 500),
    )
  ).release()
})
