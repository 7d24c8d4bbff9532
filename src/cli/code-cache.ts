import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { wrap } from 'node:module'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { Script } from 'node:vm'
import { hasErrorCode } from '../errors.js'

/** A few versions, with a few bundles for each command. */
const maxEntries = 40

/**
 * V8's compiled code of the bundles that one command loads. Compiled code is as powerful as the program itself, so it is kept only
 * in a folder that this user alone can write to; without one, every start compiles.
 */
export class CodeCache {
  readonly #folder: string | undefined
  readonly #hashes: Readonly<Record<string, string>>
  readonly #command: string
  readonly #unsaved: { script: Script; path: string }[] = []

  /**
   * @param folder undefined: every start compiles
   * @param hashes the SHA-256 of each bundle, by file name
   * @param command each command loads other parts of a bundle, so each has its own entries
   */
  constructor(folder: string | undefined, hashes: Readonly<Record<string, string>>, command: string) {
    this.#folder = folder
    this.#hashes = hashes
    this.#command = command
  }

  compile(file: string): Script {
    const source = wrap(readFileSync(file, 'utf8'))
    if (this.#folder === undefined) return new Script(source, { filename: file })
    const path = join(this.#folder, this.#name(file))
    const cachedData = readOwn(path)
    const script = new Script(source, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) })
    if (cachedData === undefined || script.cachedDataRejected === true) this.#unsaved.push({ script, path })
    return script
  }

  /** Called when the program ends, so that the entries hold the functions that really ran. A failure to write is ignored. */
  save(): void {
    const folder = this.#folder
    if (folder === undefined || this.#unsaved.length === 0) return
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      if (!isOwn(folder)) return
      for (const { script, path } of this.#unsaved) {
        const temporary = `${path}.${process.pid}`
        writeFileSync(temporary, script.createCachedData(), { mode: 0o600, flag: 'wx' })
        chmodSync(temporary, 0o600)
        renameSync(temporary, path)
      }
      const files = readdirSync(folder).map((name) => join(folder, name))
      const byAge = files.map((path) => ({ path, at: statSync(path).mtimeMs })).sort((one, other) => other.at - one.at)
      for (const { path } of byAge.slice(maxEntries)) rmSync(path, { force: true })
    } catch {
      // A full or read-only disk: the next start compiles again.
    }
  }

  /**
   * The name of a bundle's entry, which differs for another content, version of Node or command. V8 itself compares only the length
   * of the source, and npm gives every file of a package the same date, so the content's hash is part of the name. Size and date are
   * part of it for a bundle that was edited after the build.
   */
  #name(file: string): string {
    const { size, mtimeMs } = statSync(file)
    const hash = this.#hashes[basename(file)] ?? ''
    const key = [file, hash, size, mtimeMs, process.version, process.arch, this.#command].join('|')
    let name = 0xcbf29ce484222325n
    for (const byte of Buffer.from(key)) name = ((name ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
    return `${name.toString(16).padStart(16, '0')}.code`
  }
}

export function codeCacheFolder(): string | undefined {
  // Without user ids there is no way to know who may write to a folder.
  if (process.geteuid === undefined) return undefined
  const root = process.env['XDG_CACHE_HOME'] ?? ''
  const folder = join(isAbsolute(root) ? root : join(homedir(), '.cache'), 'kyconnect', 'code')
  return isOwn(folder) ? folder : undefined
}

/** Whether a folder, or the nearest one above it that exists, is ours alone to write to. */
function isOwn(folder: string): boolean {
  try {
    const { uid, mode } = lstatSync(folder)
    return uid === process.geteuid?.() && (mode & 0o022) === 0
  } catch (error) {
    return hasErrorCode(error, 'ENOENT') && dirname(folder) !== folder && isOwn(dirname(folder))
  }
}

function readOwn(path: string): Buffer | undefined {
  try {
    const { uid, mode } = lstatSync(path)
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) return undefined
    return readFileSync(path)
  } catch {
    return undefined
  }
}
