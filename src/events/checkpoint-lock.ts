import { mkdir } from 'node:fs/promises'
import { hasErrorCode, LockHeldError } from '../errors.js'
import { type HeldLock, type LockDeps, takeLock } from '../identity/lock.js'
import { lockFilesIn } from '../identity/lock-files.js'
import { join } from 'node:path'

export type { HeldLock, LockDeps }

/**
 * Takes the lock of a checkpoint, without waiting: a publishing process may run for days. A process that was killed does not hold it.
 * @param path of the checkpoint, without symbolic links
 * @throws LockHeldError
 */
export async function lockCheckpoint(path: string, deps: LockDeps): Promise<HeldLock> {
  const folder = `${path}.lock`
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    if (!hasErrorCode(error, 'EEXIST')) throw error
  }
  const withCheckpointName = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw error instanceof LockHeldError ? nameCheckpoint(error, path) : error
    })
  const lock = await withCheckpointName(takeLock(lockFilesIn(folder, join(folder, 'lock')), path, deps, 0))
  return { release: () => lock.release(), assertHeld: () => withCheckpointName(lock.assertHeld()) }
}

/** The lock's own errors speak of profiles. */
function nameCheckpoint({ reason, details }: LockHeldError, path: string): LockHeldError {
  const { pid, hostname, since } = details ?? {}
  const holder =
    typeof pid === 'number' ? `process ${pid} on ${String(hostname)} (since ${String(since)})` : 'another process'
  const context = { details: { checkpoint: path, pid, hostname, since } }
  if (reason === 'lost') {
    return new LockHeldError(
      `the lock of the checkpoint ${path} was lost to ${holder}, because this process was stopped for too long`,
      { ...context, reason, hints: ['run the command again after that process has ended'] },
    )
  }
  return new LockHeldError(`the checkpoint ${path} is in use by ${holder}`, {
    ...context,
    hints: ['wait until that process has ended, then run the command again', 'name another file with --checkpoint'],
  })
}
