import type { BigIntStats } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FilesError } from '../errors.js'
import type { EventInput } from './event-input.js'

/**
 * Refuses to write to the file that is read, or two things to one file: rejects that are read again would fill the disk, and a
 * checkpoint would overwrite events. A file is recognised under any of its names.
 * @param checkpoint path; undefined: none is written
 * @param rejects path; undefined: none are written
 * @throws FilesError
 */
export async function requireDistinctFiles(
  input: EventInput,
  checkpoint: string | undefined,
  rejects: string | undefined,
): Promise<void> {
  const flags = new Map<string, string>()
  if (input.stat !== undefined) flags.set(idOf(input.stat), '--file')
  for (const [flag, path] of [
    ['--checkpoint', checkpoint],
    ['--rejects', rejects],
  ] as const) {
    const id = path === undefined ? undefined : await idOfPath(path)
    if (path === undefined || id === undefined) continue
    const other = flags.get(id)
    if (other !== undefined) {
      throw new FilesError(`${other} and ${flag} name the same file: ${path}`, {
        reason: 'same-file',
        details: { path },
        hints: [`name another file with ${flag}`],
      })
    }
    flags.set(id, flag)
  }
}

function idOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`
}

/** undefined if the path cannot be used, which opening it reports. */
async function idOfPath(path: string): Promise<string | undefined> {
  const existing = await stat(path, { bigint: true }).catch(() => undefined)
  if (existing !== undefined) return idOf(existing)
  const folder = await realpath(dirname(path)).catch(() => undefined)
  return folder === undefined ? undefined : join(folder, basename(path))
}
