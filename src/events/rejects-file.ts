import { createHash } from 'node:crypto'
import { constants, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { FilesError } from '../errors.js'
import { parseJsonObject, text, valueOf } from '../json.js'
import { nameFileError } from './file-error.js'
import { type Line } from './line-reader.js'
import { maxOpenLines } from './window.js'

/** Why a line was refused. */
export interface Refusal {
  readonly reason: string
  /** The field at fault, if one is. */
  readonly field: string | undefined
  /** The HTTP status of the service; undefined if the event was not sent. */
  readonly status: number | undefined
}

/** Each entry begins with these characters: a file that does not is not ours. */
const entryStart = '{"offset":'
/** Twice what the longest line takes, each of its bytes being escaped. */
const maxEntryBytes = 1024 * 1024

/**
 * A file of refused lines, one JSON object each: `{"offset", "reason", "field"?, "status"?, "line"}`. A line that was too long to be kept
 * has its `length` in bytes instead. `jq -r .line` gives the lines back.
 *
 * An entry reaches the operating system at once: before the checkpoint passes its line.
 */
export class RejectsFile {
  readonly #path: string
  readonly #file: FileHandle
  /** What a killed run has appended for lines that its checkpoint had not passed. */
  readonly #appended: ReadonlySet<string>
  #needsSync = false

  private constructor(path: string, file: FileHandle, appended: ReadonlySet<string>) {
    this.#path = path
    this.#file = file
    this.#appended = appended
  }

  /**
   * Opens a file for appending, or creates it.
   * @param resumedAt the offset of the checkpoint that is continued; undefined for a new run, which appends all its rejects
   * @throws FilesError if it cannot be opened, or holds something else
   */
  static async open(path: string, resumedAt: number | undefined): Promise<RejectsFile> {
    try {
      const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600)
      try {
        if (!(await file.stat()).isFile()) throw notRejects(path)
        // Whatever the umask; and whatever the file was before, because events may be confidential.
        await file.chmod(0o600)
        return new RejectsFile(path, file, await readAppended(file, path, resumedAt ?? Infinity))
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      throw nameFileError(error, `open the file of rejects ${path}`, '--rejects')
    }
  }

  /** Appends a line, unless the run that is continued has already. @throws FilesError */
  append({ offset, end, bytes }: Line, { reason, field, status }: Refusal): void {
    const line = bytes?.toString()
    if (this.#appended.has(keyOf(offset, line))) return
    const entry = JSON.stringify({
      offset,
      reason,
      field,
      status,
      ...(line === undefined ? { length: end - offset } : { line }),
    })
    const content = Buffer.from(`${entry}\n`)
    try {
      for (let written = 0; written < content.length;) written += writeSync(this.#file.fd, content, written)
    } catch (error) {
      throw nameFileError(error, `write to the file of rejects ${this.#path}`, '--rejects')
    }
    this.#needsSync = true
  }

  /** Waits until all entries are on disk. @throws FilesError */
  async sync(): Promise<void> {
    if (!this.#needsSync) return
    this.#needsSync = false
    try {
      await this.#file.datasync()
    } catch (error) {
      throw nameFileError(error, `write to the file of rejects ${this.#path}`, '--rejects')
    }
  }

  async close(): Promise<void> {
    try {
      await this.sync()
    } finally {
      await this.#file.close()
    }
  }
}

/** The entries at or after an offset. Cuts off an entry that a crash left incomplete. */
async function readAppended(file: FileHandle, path: string, fromOffset: number): Promise<Set<string>> {
  const appended = new Set<string>()
  let complete = 0
  let rest = Buffer.alloc(0)
  let isFirst = true
  const chunk = Buffer.alloc(128 * 1024)
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position)
    if (bytesRead === 0) break
    position += bytesRead
    rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)])
    if (isFirst && !startsLikeEntry(rest)) throw notRejects(path)
    isFirst = false
    let start = 0
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a, start)) {
      addEntry(appended, rest.subarray(start, end), fromOffset)
      start = end + 1
    }
    complete += start
    rest = rest.subarray(start)
    if (rest.length > maxEntryBytes) throw notRejects(path)
  }
  if (rest.length > 0) {
    if (!startsLikeEntry(rest)) throw notRejects(path)
    await file.truncate(complete)
  }
  return appended
}

function startsLikeEntry(bytes: Buffer): boolean {
  const start = bytes.toString('latin1', 0, entryStart.length)
  return start === entryStart.slice(0, start.length)
}

function addEntry(appended: Set<string>, bytes: Buffer, fromOffset: number): void {
  // Most entries are before the offset, and a number is faster to find than the whole entry is to parse.
  if (Number.parseInt(bytes.toString('latin1', entryStart.length, entryStart.length + 16), 10) < fromOffset) return
  const entry = parseJsonObject(bytes.toString())
  const offset = entry && valueOf(entry, 'offset')
  if (entry === undefined || typeof offset !== 'number' || offset < fromOffset) return
  appended.add(keyOf(offset, text(entry, 'line')))
  // No more lines than these can have been open when a run was killed; older entries are of other runs.
  for (const oldest of appended) {
    if (appended.size <= maxOpenLines) break
    appended.delete(oldest)
  }
}

/** Another run may have had another line at this offset. */
function keyOf(offset: number, line: string | undefined): string {
  return `${offset} ${createHash('sha1')
    .update(line ?? '')
    .digest('base64')}`
}

function notRejects(path: string): FilesError {
  return new FilesError(`${path} is not a file of rejects: it holds something else`, {
    reason: 'not-rejects',
    hints: ['name another file with --rejects'],
  })
}
