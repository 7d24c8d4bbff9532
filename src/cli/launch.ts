import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { CodeCache, codeCacheFolder } from './code-cache.js'

/**
 * Starts the built program. V8's compiled code is kept between runs, so that a start does not compile the same bundles again.
 * node:module's own compile cache does not exist on Node 20, and on Node 24 `info` took 7 % and `pair` 14 % longer with it
 * (bench/README.md).
 */

declare const KYCONNECT_VERSION: string
/** The SHA-256 of each bundle, by file name. */
declare const KYCONNECT_BUNDLE_HASHES: Readonly<Record<string, string>>
/** The folders in commands/. */
declare const KYCONNECT_COMMANDS: readonly string[]

// node:crypto and node:v8 are loaded where they are used: showing the version needs neither.

/** The newest major of Node whose V8 knows the flags below: V8 prints a message about a flag that it does not know. */
const newestTestedNode = 26
const commands = new Set(KYCONNECT_COMMANDS)
const aliases = new Map([
  ['list', 'status'],
  ['ls', 'status'],
])
/** The sandbox runs long, and needs V8 as it is; the state of identities is read from disk, and loading node:v8 takes longer than it saves. */
const unflagged = new Set(['sandbox', 'status'])

type Require = (id: string) => unknown

/**
 * Parts of Node that our own code uses by name, and a run such as that of `status` not at all. They are loaded at the first use of one of their
 * functions: that way `status` loads less than half as many parts of Node, and starts in 7 % less time.
 */
const lateParts = new Set([
  'node:crypto',
  'node:fs/promises',
  'node:net',
  'node:stream',
  'node:timers/promises',
  'node:tls',
  'node:tty',
])
/** The bundle in which that is so: third-party code in others may take such a part for a function or a class. */
const ownBundle = 'runs.js'

function lateRequire(native: Require): Require {
  // The proxy is the prototype, because esbuild's copy of a namespace (import * as tls) keeps only that.
  const late = (id: string): unknown =>
    Object.create(new Proxy({}, { get: (_, name): unknown => Reflect.get(Object(native(id)), name) }))
  return (id) => (lateParts.has(id) ? late(id) : native(id))
}

function launch(directory: string): void {
  const [word = ''] = process.argv.slice(2)
  const command = aliases.get(word) ?? word
  if (word === '--version' && process.argv.length === 3) {
    try {
      // Setting up process.stdout takes longer than all the rest of this.
      writeSync(1, `${KYCONNECT_VERSION}\n`)
    } catch {
      // The reader has closed the pipe.
    }
    return
  }
  // Measured on Node 20 (bench/README.md). Left alone, V8 optimises undici's HTTP parser for two answers, and the process waits for that at
  // its end: `info` takes 157 instead of 93 ms. It also translates node:net's pattern for IPv6 addresses to bytecode first and to machine
  // code later, which costs 3 of those 93 ms.
  if (!unflagged.has(command) && parseInt(process.versions.node) <= newestTestedNode)
    process.getBuiltinModule('node:v8').setFlagsFromString('--wasm-tiering-budget=1000000000 --no-regexp-tier-up')
  const cache = new CodeCache(codeCacheFolder(), KYCONNECT_BUNDLE_HASHES, commands.has(command) ? command : 'help')
  const loaded = new Map<string, unknown>()
  const load = (file: string): unknown => {
    if (loaded.has(file)) return loaded.get(file)
    const native = basename(file) === ownBundle ? lateRequire(createRequire(file)) : createRequire(file)
    const require: Require = (id) => (id.startsWith('./') ? load(join(dirname(file), id)) : native(id))
    const module = { exports: {} }
    loaded.set(file, module.exports)
    const run: unknown = cache.compile(file).runInThisContext()
    if (typeof run !== 'function') throw new TypeError(`${file} is not a module`)
    Reflect.apply(run, module.exports, [module.exports, require, module, file, dirname(file)])
    loaded.set(file, module.exports)
    return module.exports
  }
  process.once('exit', () => {
    cache.save()
  })
  const program = load(join(directory, 'main.js'))
  if (!isProgram(program)) throw new TypeError('the program is not built: npm run build')
  void program.start(KYCONNECT_VERSION)
}

function isProgram(value: unknown): value is { start: (version: string) => Promise<void> } {
  return typeof value === 'object' && value !== null && 'start' in value && typeof value.start === 'function'
}

launch(__dirname)
