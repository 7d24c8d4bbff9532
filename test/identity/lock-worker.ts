import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, readdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LockHeldError } from '../../src/errors.js'
import { type HeldLock, type LockDeps, takeLock } from '../../src/identity/lock.js'
import { lockFilesIn } from '../../src/identity/lock-files.js'

/**
 * With a folder alone: a process that takes the lock again and again, and dies holding it in 70 of 100 cases. That two hold it is
 * found out by what the lock has no part in: each puts a file with its pid into the folder `inside`, and looks for files of
 * others that live.
 *
 * With `once`: a process on its own machine that takes the lock, says so, and reports at the next line of its input whether it
 * still has it.
 */
const [folder = '', mode] = process.argv.slice(2)
const inside = join(folder, 'inside')

/** The start time of a process, in ticks; undefined when it does not live. */
async function started(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Reports every other process that is inside too, and clears away what the dead left. */
async function lookForOthers(own: string): Promise<void> {
  for (const name of await readdir(inside)) {
    if (name === own) continue
    const [pid = '', start] = name.split('-')
    if ((await started(Number(pid))) === start) await appendFile(join(folder, 'overlaps'), `${own} met ${name}\n`)
    else await unlink(join(inside, name)).catch(() => undefined)
  }
}

const take = (more: Partial<LockDeps> = {}): Promise<HeldLock> =>
  takeLock(
    lockFilesIn(join(folder, 'locks'), join(folder, 'lock')),
    'demo',
    {
      pid: process.pid,
      hostname: 'here',
      pidNamespace: () => Promise.resolve(''),
      processIdentity: started,
      now: () => new Date(),
      randomHex: (bytes) => randomBytes(bytes).toString('hex'),
      // Less patient than real ones, so that they meet more often.
      sleep: () => sleep(Math.random()),
      ...more,
    },
    Infinity,
  )

async function takeAndDie(): Promise<never> {
  const own = `${process.pid}-${(await started(process.pid)) ?? ''}`
  for (;;) {
    const lock = await take()
    await writeFile(join(inside, own), '', { flag: 'wx' })
    await appendFile(join(folder, 'holds'), '.')
    await lookForOthers(own)
    await sleep(Math.random() * 3)
    await lookForOthers(own)
    if (Math.random() < 0.7) process.kill(process.pid, 'SIGKILL')
    await lock.assertHeld()
    await unlink(join(inside, own))
    await lock.release()
  }
}

async function takeOnce(): Promise<void> {
  const lock = await take({ hostname: 'another machine' })
  process.stdout.write('held\n')
  await once(process.stdin, 'data')
  const state = await lock.assertHeld().then(
    () => 'held',
    (error: unknown) => (error instanceof LockHeldError ? String(error.reason) : String(error)),
  )
  await lock.release()
  process.stdout.write(`${state}\n`)
  process.exit()
}

await (mode === 'once' ? takeOnce() : takeAndDie())
