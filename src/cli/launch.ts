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
  writeSync,
} from 'node:fs'
import type { KeyObject } from 'node:crypto'
import { createRequire, wrap } from 'node:module'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { Script } from 'node:vm'

/**
 * Starts the built program. V8's compiled code is kept between runs, so that a start does not compile the same bundles again
 * (node:module has that from Node 22.8 on; this does for 20 as well). Compiled code is as good as the program itself, so it
 * lies only in a folder that this user alone can write to; where there is none, every start compiles.
 */

declare const KYCONNECT_VERSION: string

// node:crypto and node:v8 are loaded where they are used: showing the version needs neither.

/** Files kept at most: a few versions, a few bundles each, per command. */
const keptAtMost = 40
/** Newest major of Node whose V8 was seen to know the flag below: it tells the user of a flag that it does not know. */
const newestTried = 25
const commands = new Set(['pair', 'info', 'call', 'token', 'sandbox'])

type Require = (id: string) => unknown

function launch(directory: string): void {
  const [command = ''] = process.argv.slice(2)
  if (command === '--version' && process.argv.length === 3) {
    try {
      // process.stdout takes longer to set up than all the rest of this.
      writeSync(1, `${KYCONNECT_VERSION}\n`)
    } catch {
      // A closed pipe: nobody wants to know.
    }
    return
  }
  // V8 would spend 100 ms, and the end of the process would wait for it, on optimising undici's HTTP parser for two answers.
  if (command !== 'sandbox' && parseInt(process.versions.node) <= newestTried)
    process.getBuiltinModule('node:v8').setFlagsFromString('--wasm-tiering-budget=1000000000')
  const begunKey = command === 'pair' ? beginKey(process.argv) : undefined
  const cache = new CodeCache(cacheFolder(), commands.has(command) ? command : 'help')
  const loaded = new Map<string, unknown>()
  const load = (file: string): unknown => {
    if (loaded.has(file)) return loaded.get(file)
    const native = createRequire(file)
    const require: Require = (id) => (id.startsWith('./') ? load(join(dirname(file), id)) : native(id))
    const module = { exports: {} }
    loaded.set(file, module.exports)
    const run: unknown = cache.compile(file).runInThisContext()
    if (typeof run !== 'function') throw new TypeError(`${file} is no module`)
    Reflect.apply(run, module.exports, [module.exports, require, module, file, dirname(file)])
    loaded.set(file, module.exports)
    return module.exports
  }
  process.once('exit', () => {
    cache.save()
  })
  const program = load(join(directory, 'main.js'))
  if (!isProgram(program)) throw new TypeError('the program is not built: npm run build')
  void program.start(KYCONNECT_VERSION, begunKey)
}

/** The usual key takes longer to make than all the rest of a pairing: it is begun, in another thread, before anything is loaded. */
function beginKey(args: readonly string[]): Promise<KeyObject> | undefined {
  if (args.some((arg) => /^(--key-|--resume|--rollback|--help|-h$)/.test(arg))) return undefined
  const key = new Promise<KeyObject>((resolve, reject) => {
    process.getBuiltinModule('node:crypto').generateKeyPair('rsa', { modulusLength: 2048 }, (error, _, privateKey) => {
      if (error === null) resolve(privateKey)
      else reject(error)
    })
  })
  // It may never be asked for.
  key.catch(() => undefined)
  return key
}

/** Compiled code of the bundles that one command loads. */
class CodeCache {
  readonly #folder: string | undefined
  readonly #command: string
  readonly #unsaved: { script: Script; path: string }[] = []

  constructor(folder: string | undefined, command: string) {
    this.#folder = folder
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

  /** Written when the program ends, so that it holds what was really run. That it cannot be written is no matter. */
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
      for (const { path } of byAge.slice(keptAtMost)) rmSync(path, { force: true })
    } catch {
      // A full or read-only disk: the next start compiles again.
    }
  }

  /** Another build, another Node or another command has another name. */
  #name(file: string): string {
    const { size, mtimeMs } = statSync(file)
    const key = [file, size, mtimeMs, process.version, process.arch, this.#command].join('|')
    let hash = 0xcbf29ce484222325n
    for (const byte of Buffer.from(key)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
    return `${hash.toString(16).padStart(16, '0')}.code`
  }
}

function cacheFolder(): string | undefined {
  // Where users cannot be told apart, nobody can say who may write to a folder.
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
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing && dirname(folder) !== folder && isOwn(dirname(folder))
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

function isProgram(
  value: unknown,
): value is { start: (version: string, begunKey?: Promise<KeyObject>) => Promise<void> } {
  return typeof value === 'object' && value !== null && 'start' in value && typeof value.start === 'function'
}

launch(__dirname)
