import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type HeldLock, takeLock } from '../../src/identity/lock.js'
import { lockFilesIn } from '../../src/identity/lock-files.js'
import { temporaryFolder } from '../support/certificates.js'
import { root } from '../support/kyconnect.js'

const wantedHolds = Number(process.env['KYCONNECT_LOCK_HOLDS'] ?? '300')
const processes = 10

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let worker: string

beforeAll(async () => {
  folder = await temporaryFolder('lock-processes')
  worker = join(folder.path, 'worker.mjs')
  await build({
    entryPoints: [join(root, 'test', 'identity', 'lock-worker.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: worker,
    logLevel: 'silent',
  })
})
beforeEach(async () => {
  for (const name of ['locks', 'inside']) {
    await rm(join(folder.path, name), { recursive: true, force: true })
    await mkdir(join(folder.path, name))
  }
})
afterAll(() => folder.remove())

const textOf = (name: string): Promise<string> => readFile(join(folder.path, name), 'utf8').catch(() => '')
const holds = (): Promise<number> =>
  stat(join(folder.path, 'holds')).then(
    ({ size }) => size,
    () => 0,
  )
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Takes the lock in this process, on this machine. */
function takeHere(): Promise<HeldLock> {
  return takeLock(
    lockFilesIn(join(folder.path, 'locks'), join(folder.path, 'lock')),
    'demo',
    {
      pid: process.pid,
      hostname: 'here',
      pidNamespace: () => Promise.resolve(''),
      processIdentity: () => Promise.resolve('us'),
      now: () => new Date(),
      randomHex: (bytes) => randomBytes(bytes).toString('hex'),
      sleep: pause,
    },
    20_000,
  )
}

/** Keeps one process running, and starts the next when it dies, until the test has seen enough. */
async function keepRunning(ended: () => boolean, complain: (text: string) => void): Promise<void> {
  while (!ended()) {
    const child = spawn(process.execPath, [worker, folder.path], { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.on('data', (chunk: Buffer) => {
      complain(chunk.toString('utf8'))
    })
    const exited = new Promise((resolve) => child.once('close', resolve))
    const troubles = trouble(child, ended)
    await exited
    await troubles
  }
}

/** Stops a process now and then, lets it go on, and kills some at any instant. */
async function trouble(child: ChildProcess, ended: () => boolean): Promise<void> {
  const lives = (): boolean => child.exitCode === null && child.signalCode === null
  while (lives() && !ended()) {
    await pause(20 + Math.random() * 100)
    child.kill('SIGSTOP')
    await pause(Math.random() * 30)
    child.kill(Math.random() < 0.2 ? 'SIGKILL' : 'SIGCONT')
  }
  if (lives()) child.kill('SIGKILL')
}

test(
  `${wantedHolds} holds of processes that die and stop at random never overlap`,
  { timeout: 60_000 + wantedHolds * 1000 },
  async () => {
    let enough = false
    const complaints: string[] = []
    const running = Array.from({ length: processes }, () =>
      keepRunning(
        () => enough,
        (text) => complaints.push(text),
      ),
    )
    while ((await holds()) < wantedHolds && complaints.length === 0) await pause(20)
    enough = true
    await Promise.all(running)
    expect(complaints).toEqual([])
    expect(await textOf('overlaps')).toBe('')
    // One number per hold at least, and only the last ones are there.
    const numbers = (await readdir(join(folder.path, 'locks'))).map((name) => Number(name.split('.')[1]))
    expect(Math.max(...numbers.filter((number) => number < 1e9))).toBeGreaterThanOrEqual(wantedHolds)
    expect(numbers.length).toBeLessThan(100)
  },
)

test.each([
  ['learns that it lost the lock', true, 'lost'],
  ['still has the lock when no other process took it', false, 'held'],
])('a process that is stopped for longer than a minute %s', async (_, taken, says) => {
  const child = spawn(process.execPath, [worker, folder.path, 'once'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async (): Promise<unknown> => (await lines.next()).value
  expect(await nextLine()).toBe('held')
  child.kill('SIGSTOP')
  await expect
    .poll(async () => / T /.test(await readFile(`/proc/${child.pid ?? 0}/stat`, 'utf8')), { timeout: 20_000 })
    .toBe(true)
  const file = join(folder.path, 'locks', 'lock.1')
  const longAgo = new Date(Date.now() - 120_000)
  await utimes(file, longAgo, longAgo)
  const other = taken ? await takeHere() : undefined
  child.kill('SIGCONT')
  child.stdin.write('\n')
  expect(await nextLine()).toBe(says)
  // Its end did not release what it had lost.
  await other?.assertHeld()
  await other?.release()
})
