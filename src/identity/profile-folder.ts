import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { hasErrorCode } from '../errors.js'
import { filesError } from './durable-files.js'

/**
 * The folder of one profile:
 *
 *     pointer.json   names the version that is the identity
 *     versions/<id>/ one complete identity each, never changed except for identity.json
 *     current        a link to that version, for other programs; the pointer is the truth
 *     pending/       a pairing that waits for its certificate
 */
export interface ProfileFolder {
  readonly profile: string
  readonly path: string
  /** undefined where the platform has no user ids. */
  readonly userId: number | undefined
  readonly now: () => Date
  readonly randomHex: (bytes: number) => string
}

export function versionPath({ path }: ProfileFolder, version: string): string {
  return join(path, 'versions', version)
}

export function currentPath({ path }: ProfileFolder): string {
  return join(path, 'current')
}

export function pendingPath({ path }: ProfileFolder): string {
  return join(path, 'pending')
}

/** Whether a file, a folder or anything else exists at a path. */
export function exists(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    resolve(existsSync(path))
  })
}

function existsSync(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return false
    throw filesError(error, `read ${path}`)
  }
}
