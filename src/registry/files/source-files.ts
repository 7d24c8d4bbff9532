import { readdirSync, realpathSync, statSync, type Stats } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
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
  /** Those of the given sources that have it. */
  readonly sources: string[]
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

/** Where a file was found. */
interface Origin {
  /** As the user gave it. */
  readonly source: string
  /** The real path of the source when it is a folder; undefined: the source is the file itself. */
  readonly root: string | undefined
}

class Walk {
  readonly files: (SourceFile | Problem)[] = []
  readonly #deps: ReadServiceFilesDeps
  /** What was read, by its real path: a file may be named and be in a named folder. */
  readonly #seen = new Map<string, SourceFile>()
  #count = 0

  constructor(deps: ReadServiceFilesDeps) {
    this.#deps = deps
  }

  async stdin(): Promise<void> {
    const text = (await this.#deps.readStdin()).replace(/^\uFEFF/, '')
    const { workingFolder } = this.#deps
    this.files.push({
      file: '-',
      sources: ['-'],
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
    if (stat.isDirectory()) await this.#folder(source, path, { source, root: realpathSync.native(path) })
    else if (stat.isFile()) await this.#file(source, path, { source, root: undefined })
    else this.#refuse(source, new FileRefused('it is not a regular file'), 'to read services from a pipe, use -f -')
  }

  /** A folder that is left out without a word would make --prune delete its services. */
  async #folder(shown: string, path: string, origin: Origin): Promise<void> {
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
      if (entry.isDirectory()) await this.#folder(entryShown, entryPath, origin)
      else if (entry.isSymbolicLink() && leadsToFolder(entryPath)) {
        this.#refuse(
          entryShown,
          new FileRefused('links to folders are not followed'),
          `begin the name of the link with a dot, and name the folder that it leads to with another -f`,
        )
      } else if (extensions.test(entry.name)) await this.#file(entryShown, entryPath, origin)
      else if (entry.isSymbolicLink()) this.#checkLink(entryShown, entryPath)
    }
  }

  /** What a link leads to may be a folder of services that is not there at the moment. */
  #checkLink(shown: string, path: string): void {
    try {
      statSync(path)
    } catch (error) {
      this.#refuse(shown, error, 'remove the link, or begin its name with a dot')
    }
  }

  async #file(shown: string, path: string, { source, root }: Origin): Promise<void> {
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
      // References to files start at the real folder: a link in a pull request must not choose it.
      if (root !== undefined && !real.startsWith(join(root, sep))) {
        this.#refuse(
          shown,
          new FileRefused(`the link leads out of ${source}`),
          'name the file that it leads to with -f',
        )
        return
      }
      // What is left of a file that was not written to its end: its services are not to be deleted.
      if (text.trim() === '') {
        this.#refuse(shown, new FileRefused('it is empty'), 'remove it, or describe a service in it')
        return
      }
      const seen = this.#seen.get(real)
      if (seen !== undefined) {
        seen.sources.push(source)
        return
      }
      const file = {
        file: shown,
        sources: [source],
        path: real,
        text,
        isNamed: root === undefined,
        isJson: /\.json$/i.test(path),
        folder: () => dirname(real),
      }
      this.#seen.set(real, file)
      this.files.push(file)
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
