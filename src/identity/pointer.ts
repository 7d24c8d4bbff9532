import { join } from 'node:path'
import { IdentityUnusableError } from '../errors.js'
import { parseJsonObject, valueOf } from '../json.js'
import { onFiles, replaceOwnFile } from './durable-files.js'
import { readOwnFile } from './own-files.js'
import type { ProfileFolder } from './profile-folder.js'

/** Says which version is a profile's identity, and overrides every other file. It is replaced in one step, which is the commit. */
export interface Pointer {
  readonly current: string
  /** What `rollback` restores. */
  readonly previous: string | null
  /** Versions that are not needed any more. Only these are ever deleted: any other folder there may hold a user's only key. */
  readonly retired: readonly string[]
}

const fileName = 'pointer.json'

/** @throws IdentityUnusableError when it is damaged */
export async function readPointer(profile: ProfileFolder): Promise<Pointer | undefined> {
  const file = join(profile.path, fileName)
  const text = await onFiles(`read ${file}`, () => readOwnFile(file, profile.userId))
  return text === undefined ? undefined : parsePointer(text, file)
}

/** @throws IdentityUnusableError */
export function parsePointer(text: string, file: string): Pointer {
  const parsed = parseJsonObject(text)
  const [current, previous, retired] =
    parsed === undefined ? [] : [valueOf(parsed, 'current'), valueOf(parsed, 'previous'), valueOf(parsed, 'retired')]
  if (!isVersion(current)) throw new IdentityUnusableError(`${file} is damaged`)
  return {
    current,
    previous: isVersion(previous) ? previous : null,
    retired: Array.isArray(retired) ? retired.filter(isVersion) : [],
  }
}

/**
 * Replaces the pointer.
 * @returns what failed after that: the new pointer counts
 * @throws what failed before: the old pointer counts
 */
export async function replacePointer(profile: ProfileFolder, pointer: Pointer): Promise<unknown> {
  const file = join(profile.path, fileName)
  return replaceOwnFile(file, `${JSON.stringify(pointer)}\n`, `${file}.${profile.randomHex(4)}`)
}

const versionName = /^v[0-9]{14}-[0-9a-f]{8}$/

/** The name of a folder in versions/. */
export function isVersion(name: unknown): name is string {
  return typeof name === 'string' && versionName.test(name)
}
