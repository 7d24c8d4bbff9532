import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { runHook } from '../../src/cli/hook.js'
import { HookFailedError, TerminatedError } from '../../src/errors.js'
import { readRuntime } from '../../src/runtime.js'
import { temporaryFolder } from '../support/certificates.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
const pids: number[] = []
beforeAll(async () => {
  folder = await temporaryFolder('hook')
})
afterEach(() => {
  vi.useRealTimers()
  for (const pid of pids.splice(0)) process.kill(pid, 'SIGKILL')
})
afterAll(() => folder.remove())

function contextOf(signal: AbortSignal = new AbortController().signal): Parameters<typeof runHook>[2] {
  return { runtime: readRuntime(signal) }
}

test('a command that ignores SIGTERM is not waited for longer than a minute after the program was asked to end', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const controller = new AbortController()
  const file = join(folder.path, 'pid')
  const running = runHook(
    `trap '' TERM; echo $$ > ${file}; while :; do sleep 0.1; done`,
    ['demo'],
    contextOf(controller.signal),
  )
  const ended = running.then(
    () => 'succeeded',
    (error: unknown) => error,
  )
  await vi.waitUntil(async () => Number(await readFile(file, 'utf8').catch(() => '')) > 0, { timeout: 30_000 })
  pids.push(Number(await readFile(file, 'utf8')))
  controller.abort(new TerminatedError('terminated (SIGTERM)'))
  vi.advanceTimersByTime(59_000)
  expect(await Promise.race([ended, new Promise((resolve) => setImmediate(resolve, 'waiting'))])).toBe('waiting')
  vi.advanceTimersByTime(1000)
  expect(await ended).toBeInstanceOf(TerminatedError)
}, 60_000)

test('a list of profiles that is too long for the system is a failed hook, not the end of the program', async () => {
  const profiles = Array.from({ length: 40_000 }, (_, index) => `profile-${index}`)
  const error: unknown = await runHook('true', profiles, contextOf()).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(HookFailedError)
  expect(error).toMatchObject({ details: { end: 'E2BIG' } })
})

test('the error says how the command ended', async () => {
  await expect(runHook('exit 3', [], contextOf())).rejects.toThrow('the command of --exec failed: it ended with 3')
  await expect(runHook('kill -9 $$', [], contextOf())).rejects.toThrow('it was ended by SIGKILL')
})
