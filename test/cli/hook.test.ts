import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runHook } from '../../src/cli/hook.js'
import { HookFailedError, TerminatedError } from '../../src/errors.js'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kyconnect-hook-'))
})
afterEach(async () => {
  vi.useRealTimers()
  await rm(folder, { recursive: true })
})

const file = (name: string): string => join(folder, name)
const contents = (name: string): Promise<string> => readFile(file(name), 'utf8').catch(() => '')

function run(command: string, more: Record<string, string> = {}, signal = new AbortController().signal): Promise<void> {
  const environment = { PATH: process.env['PATH'], ...more }
  return runHook(command, ['demo', 'shop'], { runtime: { environment, platform: process.platform, signal } })
}

test('a command gets the renewed profiles and the environment, without what holds a token, a key or a password', async () => {
  await run(`env > ${file('env')}`, {
    HARMLESS: 'a',
    KYCONNECT_HOME: '/b',
    KYCONNECT_TOKEN_URL: 'https://x/?token=c',
    KYCONNECT_SECRET_STORE: 'd',
    KYCONNECT_IDENTITY: 'e',
  })
  const seen = (await contents('env')).split('\n').filter((line) => /^(?:KYCONNECT|HARMLESS)/.test(line))
  expect(seen.sort()).toEqual(['HARMLESS=a', 'KYCONNECT_HOME=/b', 'KYCONNECT_PROFILES=demo shop'])
})

test.each([
  ['exit 3', 'it exited with code 3', 3],
  ['kill -KILL $$', 'it was killed by SIGKILL', 'SIGKILL'],
])('"%s" fails with the reason: %s', async (command, reason, end) => {
  const error: unknown = await run(command).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(HookFailedError)
  expect(error).toMatchObject({ message: `the --exec command failed: ${reason}`, details: { end } })
})

test('a command that cannot be started fails with the code of the error', async () => {
  const error: unknown = await run(`: ${'x'.repeat(200_000)}`).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(HookFailedError)
  expect(error).toMatchObject({
    message:
      'the --exec command failed: it could not be started: the names of the profiles and the environment are too long for this system',
    details: { end: 'E2BIG' },
  })
})

test('SIGTERM is waited out for a minute, and no longer for a command that ignores it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const controller = new AbortController()
  const hook = run(
    `trap "echo asked >> ${file('asked')}" TERM; echo $$ > ${file('pid')}; while [ -e ${file('pid')} ]; do sleep 0.1; done`,
    {},
    controller.signal,
  )
  let isOver = false
  const over = hook.catch((error: unknown) => error).finally(() => (isOver = true))
  await vi.waitFor(async () => {
    expect(await contents('pid')).toMatch(/\d\n/)
  })
  controller.abort(new TerminatedError('terminated (SIGTERM)'))
  await vi.advanceTimersByTimeAsync(59_000)
  expect([isOver, await contents('asked')]).toEqual([false, ''])
  await vi.advanceTimersByTimeAsync(1000)
  expect(await over).toBeInstanceOf(TerminatedError)
  vi.useRealTimers()
  await vi.waitFor(
    async () => {
      expect(await contents('asked')).toBe('asked\n')
    },
    { timeout: 30_000 },
  )
}, 60_000)
