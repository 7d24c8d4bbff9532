import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** What the sandbox keeps between requests, and between starts where it was given a directory. */
export interface State {
  /** What was written under this name, as `parse` understands it; undefined when nothing was. */
  read<T>(name: string, parse: (text: string) => T): T | undefined
  write(name: string, text: string): void
  /** Writes a file that others are to read, such as the CA's certificate, and gives its path. */
  publish(name: string, text: string): string
  close(): void
}

/** The state directory cannot be used. */
export class StateError extends Error {}

/** Files are replaced in one step, so that a process killed at any moment leaves either the old or the new one. */
function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.new`
  writeFileSync(temporary, text, { mode: 0o600, flush: true })
  renameSync(temporary, path)
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Node's own recursive mkdir turns in circles in /proc. */
function makeDirectory(directory: string): void {
  const parent = dirname(directory)
  if (parent !== directory && !existsSync(parent)) makeDirectory(parent)
  if (!existsSync(directory) || !statSync(directory).isDirectory()) mkdirSync(directory, { mode: 0o700 })
}

/** State in a directory of its own (0700, files 0600). */
export function openStateDirectory(directory: string): State {
  const blame = <T>(what: string, act: () => T): T => {
    try {
      return act()
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new StateError(`${what}: ${reason}`, { cause })
    }
  }
  const write = (name: string, text: string): string => {
    const path = join(directory, name)
    blame(`Cannot write to the state directory ${directory}`, () => {
      writeAtomically(path, text)
    })
    return path
  }
  blame(`Cannot create the state directory ${directory}`, () => {
    makeDirectory(directory)
  })
  return {
    read(name, parse) {
      const path = join(directory, name)
      const text = blame(`Cannot read the state directory ${directory}`, () => readIfThere(path))
      return text === undefined ? undefined : blame(`${path} is damaged; remove it to start afresh`, () => parse(text))
    },
    write,
    publish: write,
    close: () => undefined,
  }
}

/** State in memory; only what is published lies in files, in a private directory that goes with the sandbox. */
export function openMemoryState(): State {
  const directory = mkdtempSync(join(tmpdir(), 'kyconnect-sandbox-'))
  return {
    read: () => undefined,
    write: () => undefined,
    publish(name, text) {
      const path = join(directory, name)
      writeAtomically(path, text)
      return path
    },
    close() {
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Parses a JSON array of strings; throws on anything else. */
export function parseStringArray(text: string): readonly string[] {
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value)) throw new Error('it is no JSON array')
  return value.map((item) => {
    if (typeof item !== 'string') throw new Error('it holds something that is no string')
    return item
  })
}
