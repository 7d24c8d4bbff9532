import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { CheckpointDeps } from '../../src/events/checkpoint.js'

/** The start time of a process, in ticks; undefined if it is not running. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/** What a checkpoint gets from this process. */
export const processDeps: CheckpointDeps = {
  pid: process.pid,
  hostname: 'here',
  pidNamespace: () => Promise.resolve(''),
  processIdentity: startTimeOf,
  now: () => new Date(),
  randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  onNextTurn: (work) => {
    setImmediate(work)
  },
  after: (milliseconds, work) => {
    const timer = setTimeout(work, milliseconds)
    return () => {
      clearTimeout(timer)
    }
  },
}
