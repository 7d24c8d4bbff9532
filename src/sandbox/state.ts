import { lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { checkPrivateDirectory, PrivateFileError, readPrivateFile, writePrivateFile } from './private-files.js'

/** What the sandbox stores between requests and, when it was given a folder, between runs. */
export interface State {
  /** The text that was written under this name, parsed; undefined when there is none. @throws StateError */
  read<T>(name: string, parse: (text: string) => T): T | undefined
  /** @throws StateError */
  write(name: string, text: string): void
  /** Writes a file for other programs, such as the CA's certificate, and gives its path. @throws StateError */
  publish(name: string, text: string): string
  close(): void
}

/** The state folder cannot be used. */
export class StateError extends Error {}

/**
 * State in a folder (0700, files 0600). The folder and its files must belong to the user, and other users must not be able to write them:
 * the sandbox would trust a CA key that another user put there. Symbolic links, FIFOs and devices are refused.
 *
 * @param ownerId the user that the process runs as; undefined on systems without owners
 */
export function openStateDirectory(directory: string, ownerId: number | undefined): State {
  const explain = <T>(problem: string, act: () => T): T => {
    try {
      return act()
    } catch (cause) {
      if (cause instanceof PrivateFileError)
        throw new StateError(`the state folder is refused: ${cause.message}`, { cause })
      throw new StateError(`${problem}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
  const write = (name: string, text: string): string => {
    const path = join(directory, name)
    explain(`the state folder ${directory} cannot be written`, () => {
      writePrivateFile(path, text, ownerId)
    })
    return path
  }
  explain(`the state folder ${directory} cannot be created`, () => {
    makeDirectory(directory)
    checkPrivateDirectory(directory, ownerId)
  })
  return {
    read(name, parse) {
      const path = join(directory, name)
      const text = explain(`the state folder ${directory} cannot be read`, () => readPrivateFile(path, ownerId))
      return text === undefined
        ? undefined
        : explain(`${path} is damaged (remove it to start without it)`, () => parse(text))
    },
    write,
    publish: write,
    close: () => undefined,
  }
}

/** State in memory. Published files are in a private folder that is removed when the sandbox closes. */
export function openMemoryState(ownerId: number | undefined): State {
  const directory = mkdtempSync(join(tmpdir(), 'kyconnect-sandbox-'))
  return {
    read: () => undefined,
    write: () => undefined,
    publish(name, text) {
      const path = join(directory, name)
      writePrivateFile(path, text, ownerId)
      return path
    },
    close() {
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Creates a folder and its parents. Node's own recursive mkdir never ends for a path in /proc. */
function makeDirectory(directory: string): void {
  if (lstatSync(directory, { throwIfNoEntry: false }) !== undefined) return
  const parent = dirname(directory)
  if (parent !== directory) makeDirectory(parent)
  mkdirSync(directory, { mode: 0o700 })
}

/** Parses a JSON array of strings. @throws Error for anything else */
export function parseStringArray(text: string): readonly string[] {
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value)) throw new Error('it is not a JSON array')
  return value.map((item) => {
    if (typeof item !== 'string') throw new Error('it contains a value that is not a string')
    return item
  })
}
