import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { extname, isAbsolute, relative, resolve, sep } from 'node:path'
import { errorCodeOf } from '../../errors.js'
import { fileProblemOf } from '../../file-problem.js'

/** Why a file is not read, to follow a colon. */
export class FileRefused extends Error {}

export interface Confinement {
  /** The real path of the folder that the file must be below. */
  readonly folder: string
  /** Of the real file, in lower case; undefined: any. */
  readonly extensions?: readonly string[]
  readonly maxBytes: number
}

/**
 * Reads a file that a service file names. Service files come from pull requests, and the text is sent to the Registry or to the service: no path may lead
 * to a key, to the environment of a process or to a credential of the machine.
 * @param written the path as the service file has it
 * @throws FileRefused
 */
export function readConfinedFile(written: string, { folder, extensions, maxBytes }: Confinement): Buffer {
  const refusal = pathRefusal(written)
  if (refusal !== undefined) throw new FileRefused(refusal)
  // Everything is below the root: /proc/self/environ too.
  if (folder === resolve(folder, '/')) throw new FileRefused('the service file is in the root folder')
  let real: string
  try {
    real = realpathSync.native(resolve(folder, written))
  } catch (error) {
    throw new FileRefused(fileProblem(error))
  }
  if (!real.startsWith(folder + sep)) throw new FileRefused('it is outside the folder of the service file')
  if (hiddenName(relative(folder, real)) !== undefined)
    throw new FileRefused('it is a hidden file, or in a hidden folder')
  if (extensions !== undefined && !extensions.includes(extname(real).toLowerCase())) {
    throw new FileRefused(`its name must end with ${listOf(extensions)}`)
  }
  const bytes = readRegularFile(real, maxBytes)
  if (bytes.includes('PRIVATE KEY-----')) throw new FileRefused('it has a private key in it')
  return bytes
}

/** Why a path cannot be used, whatever is there; undefined when it can. */
export function pathRefusal(written: string): string | undefined {
  if (written === '' || written.includes('\0')) return 'it is not a path'
  if (isAbsolute(written) || /^[A-Za-z]:|^[\\/~]/.test(written))
    return 'the path must be relative to the folder of the service file'
  // Resolved against a folder that is deep enough for any path.
  const segments: string[] = []
  for (const segment of written.split(/[\\/]/)) {
    if (segment === '' || segment === '.') continue
    if (segment !== '..') segments.push(segment)
    else if (segments.pop() === undefined) return 'it is outside the folder of the service file'
  }
  return segments.some((segment) => segment.startsWith('.')) ? 'it is a hidden file, or in a hidden folder' : undefined
}

/** Kubernetes mounts ConfigMaps and Secrets as links through ..data, which is a folder as any other. */
function hiddenName(path: string): string | undefined {
  return path.split(sep).find((name) => name.startsWith('.') && !name.startsWith('..'))
}

/** Reads a regular file. Neither a FIFO nor a device blocks it. @throws FileRefused */
export function readRegularFile(path: string, maxBytes: number): Buffer {
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(file)
    if (stat.isDirectory()) throw new FileRefused('it is a folder')
    if (!stat.isFile()) throw new FileRefused('it is not a regular file')
    return readBounded(file, stat.size, maxBytes)
  } catch (error) {
    throw error instanceof FileRefused ? error : new FileRefused(fileProblem(error))
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** The size that the system reports may be wrong: that of files in /proc is 0. */
function readBounded(file: number, size: number, maxBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(Math.min(Math.max(size, 0), maxBytes) + 1)
  let length = 0
  for (;;) {
    const read = readSync(file, buffer, length, buffer.length - length, null)
    length += read
    if (length > maxBytes) throw new FileRefused(`it is larger than ${formatSize(maxBytes)}`)
    if (read === 0) return buffer.subarray(0, length)
    if (length === buffer.length) throw new FileRefused('it grew while it was read')
  }
}

/** Why the system does not read a file, to follow a colon. */
export function fileProblem(error: unknown): string {
  const code = errorCodeOf(error)
  switch (code) {
    case 'ELOOP':
      return 'its links lead in a circle'
    case 'ENXIO':
      return 'it is not a regular file'
    default:
      return fileProblemOf(code)
  }
}

function formatSize(bytes: number): string {
  return bytes < 1024 * 1024 ? `${bytes / 1024} KiB` : `${bytes / 1024 / 1024} MiB`
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.slice(-1).join()}`
}

/** The text of a file. A byte order mark is left out. @throws FileRefused when it is not UTF-8 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new FileRefused('it is not UTF-8 text')
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true })
