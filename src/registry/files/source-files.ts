import { readdirSync, realpathSync, statSync, type Stats } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setImmediate as pause } from 'node:timers/promises'
import { decodeText, fileProblem, FileRefused, readRegularFile } from './confined-file.js'
import type { Problem } from './problem.js'

const maxFileBytes = 8 * 1024 * 1024
const maxFiles = 10_000
const filesBetweenPauses = 64
const extensions = /\.(?:ya?ml|json)$/i

/** A text that may describe services. */
export interface SourceFile {
  /** As messages name it. */
  readonly file: string
  /** Absolute; undefined for standard input. */
  readonly path: string | undefined
  readonly text: string
  /** Whether the user named the file itself, and not a folder around it. */
  readonly isNamed: boolean
  readonly isJson: boolean
  /** The real folder of the file. */
  readonly folder: () => string
}

export interface ReadServiceFilesDeps {
  /** Absolute. Relative paths start there; for a document from standard input it is the folder of the document. */
  readonly workingFolder: string
  /** Everything that standard input has; the caller limits its size. */
  readonly readStdin: () => Promise<string>
  readonly signal: AbortSignal
}

/**
 * Reads what the sources name: files, folders with everything below them, and `-` for standard input. What cannot be read is in the
 * result as a problem.
 */
export async function readSources(
  sources: readonly string[],
  deps: ReadServiceFilesDeps,
): Promise<readonly (SourceFile | Problem)[]> {
  const walk = new Walk(deps)
  for (const source of new Set(sources)) {
    if (source === '-') await walk.stdin()
    else await walk.source(source)
  }
  return walk.files
}

class Walk {
  readonly files: (SourceFile | Problem)[] = []
  readonly #deps: ReadServiceFilesDeps
  /** The real paths that were read: a file may be named and be in a named folder. */
  readonly #seen = new Set<string>()
  #count = 0

  constructor(deps: ReadServiceFilesDeps) {
    this.#deps = deps
  }

  async stdin(): Promise<void> {
    const text = (await this.#deps.readStdin()).replace(/^\uFEFF/, '')
    const { workingFolder } = this.#deps
    this.files.push({
      file: '-',
      path: undefined,
      text,
      isNamed: true,
      isJson: isJsonObject(text),
      folder: () => realpathSync.native(workingFolder),
    })
  }

  async source(source: string): Promise<void> {
    const path = resolve(this.#deps.workingFolder, source)
    let stat: Stats
    try {
      stat = statSync(path)
    } catch (error) {
      this.#refuse(source, error)
      return
    }
    if (stat.isDirectory()) await this.#folder(source, path)
    else if (stat.isFile()) await this.#file(source, path, true)
    else this.#refuse(source, new FileRefused('it is not a regular file'), 'to read services from a pipe, use -f -')
  }

  /** A folder that is left out without a word would make --prune delete its services. */
  async #folder(shown: string, path: string): Promise<void> {
    let entries
    try {
      entries = readdirSync(path, { withFileTypes: true })
    } catch (error) {
      this.#refuse(shown, error)
      return
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const entry of entries) {
      // Packages hold many JSON files, and never services of this repository.
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      const entryPath = join(path, entry.name)
      const entryShown = join(shown, entry.name)
      if (entry.isDirectory()) await this.#folder(entryShown, entryPath)
      else if (entry.isSymbolicLink() && leadsToFolder(entryPath)) {
        this.#refuse(
          entryShown,
          new FileRefused('links to folders are not followed'),
          `name the folder with -f as well, or begin the name of the link with a dot`,
        )
      } else if (extensions.test(entry.name)) await this.#file(entryShown, entryPath, false)
    }
  }

  async #file(shown: string, path: string, isNamed: boolean): Promise<void> {
    this.#count++
    // Reading is synchronous, because that is several times faster; Ctrl-C is noticed between files.
    if (this.#count % filesBetweenPauses === 0) await pause()
    this.#deps.signal.throwIfAborted()
    if (this.#count > maxFiles) {
      if (this.#count === maxFiles + 1) this.#refuse(shown, new FileRefused(`there are more than ${maxFiles} files`))
      return
    }
    try {
      const text = decodeText(readRegularFile(path, maxFileBytes))
      const real = realpathSync.native(path)
      if (this.#seen.has(real)) return
      this.#seen.add(real)
      this.files.push({
        file: shown,
        path: real,
        text,
        isNamed,
        isJson: /\.json$/i.test(path),
        folder: () => dirname(real),
      })
    } catch (error) {
      this.#refuse(shown, error)
    }
  }

  #refuse(file: string, error: unknown, hint?: string): void {
    const cause = error instanceof FileRefused ? error.message : fileProblem(error)
    this.files.push({
      file,
      line: 1,
      column: 1,
      message: `the file cannot be read: ${cause}`,
      ...(hint !== undefined && { hint }),
    })
  }
}

function leadsToFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

function isJsonObject(text: string): boolean {
  if (!/^\s*\{/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
