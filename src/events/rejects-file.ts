import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { constants, ftruncateSync, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { FilesError } from '../errors.js'
import { parseJsonObject, text, valueOf } from '../json.js'
import { nameFileError } from './file-error.js'
import type { Line } from './line-reader.js'
import { maxOpenLines } from './window.js'

/** Why a line was refused. */
export interface Refusal {
  readonly reason: string
  /** The field at fault, if one is. */
  readonly field: string | undefined
  /** The HTTP status of the service; undefined if the event was not sent. */
  readonly status: number | undefined
}

/** How each entry begins, with its numbers replaced by 0. */
const entryStart = '{"offset":0,"lineNumber":0,"reason":"'
/** Bytes in which an entry begins like this, whatever its numbers are. */
const maxEntryStartBytes = 80
/** Twice the length of an entry for the longest line, each of its bytes being escaped. */
const maxEntryBytes = 1024 * 1024

/**
 * A file of refused lines, one JSON object each: `{"offset", "lineNumber", "reason", "field"?, "status"?, "length", "line"?}`. The line
 * can be cut out of the input by `offset` and `length`, which count bytes and include its line break. A line that is not UTF-8 is in
 * `lineBase64` instead of `line`; one that was too long to be kept is in neither. `jq -r '.line // empty'` gives the lines back.
 *
 * An entry reaches the operating system at once: before the checkpoint passes its line.
 */
export class RejectsFile {
  readonly #path: string
  readonly #file: FileHandle
  /** What a killed run has appended for lines that its checkpoint had not passed. */
  readonly #appended: ReadonlySet<string>
  /** How the content ends, until it is mended before the first entry is appended. */
  #end: End
  #needsSync = false

  private constructor(path: string, file: FileHandle, { appended, end }: Found) {
    this.#path = path
    this.#file = file
    this.#appended = appended
    this.#end = end
  }

  /**
   * Opens a file for appending, or creates it.
   * @param resumedAt the offset of the checkpoint that is continued; undefined for a new run, which appends all its rejects
   * @throws FilesError if it cannot be opened, or holds something else, which is left as it is
   */
  static async open(path: string, resumedAt: number | undefined): Promise<RejectsFile> {
    try {
      const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600)
      try {
        if (!(await file.stat()).isFile()) throw notRejects(path, 'it is not a plain file')
        const found = await readEntries(file, path, resumedAt ?? Infinity)
        // Whatever the umask; and whatever the file was before, because events may be confidential.
        await file.chmod(0o600)
        return new RejectsFile(path, file, found)
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      throw nameFileError(error, `open the file of rejects ${path}`, '--rejects')
    }
  }

  /** Appends a line, unless the run that is continued has already. @throws FilesError */
  append({ offset, end, number, bytes }: Line, { reason, field, status }: Refusal): void {
    const isText = bytes !== undefined && isUtf8(bytes)
    const line = bytes?.toString(isText ? 'utf8' : 'base64')
    if (this.#appended.has(keyOf(offset, line))) return
    const kept = { [isText ? 'line' : 'lineBase64']: line }
    const entry = { offset, lineNumber: number, reason, field, status, length: end - offset, ...kept }
    try {
      this.#mend()
      this.#write(`${JSON.stringify(entry)}\n`)
    } catch (error) {
      throw nameFileError(error, `write to the file of rejects ${this.#path}`, '--rejects')
    }
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

  #mend(): void {
    const end = this.#end
    this.#end = { kind: 'line-break' }
    if (end.kind === 'torn') ftruncateSync(this.#file.fd, end.offset)
    else if (end.kind === 'entry') this.#write('\n')
  }

  #write(content: string): void {
    this.#needsSync = true
    const bytes = Buffer.from(content)
    for (let written = 0; written < bytes.length;) written += writeSync(this.#file.fd, bytes, written)
  }
}

/** What a file holds before anything is appended. */
interface Found {
  /** The keys of the entries at or after an offset. */
  readonly appended: ReadonlySet<string>
  readonly end: End
}

type End =
  | { readonly kind: 'line-break' }
  /** A complete entry without a line break: an editor may have removed it. */
  | { readonly kind: 'entry' }
  /** An entry that begins at the offset, and that a crash left incomplete. */
  | { readonly kind: 'torn'; readonly offset: number }

interface Entry {
  readonly offset: number
  /** The line itself or in Base64; undefined if it was too long to be kept. */
  readonly line: string | undefined
}

/** @throws FilesError if the file holds something else */
async function readEntries(file: FileHandle, path: string, fromOffset: number): Promise<Found> {
  const appended = new Set<string>()
  /** Everything before is complete lines, the first of which is an entry. */
  let complete = 0
  let rest = Buffer.alloc(0)
  const chunk = Buffer.alloc(128 * 1024)
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position)
    if (bytesRead === 0) break
    position += bytesRead
    rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)])
    let start = 0
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a, start)) {
      const bytes = rest.subarray(start, end)
      if (complete + start === 0 && parseEntry(bytes) === undefined) throw notRejects(path, 'it holds something else')
      addEntry(appended, bytes, fromOffset)
      start = end + 1
    }
    complete += start
    rest = rest.subarray(start)
    if (rest.length > maxEntryBytes) throw notRejects(path, 'it holds something else')
  }
  if (rest.length === 0) return { appended, end: { kind: 'line-break' } }
  if (parseEntry(rest) !== undefined) {
    addEntry(appended, rest, fromOffset)
    return { appended, end: { kind: 'entry' } }
  }
  if (!isTornEntry(rest, complete > 0)) throw notRejects(path, 'it holds something else')
  return { appended, end: { kind: 'torn', offset: complete } }
}

/** The entry in these bytes; undefined if they are something else. */
function parseEntry(bytes: Buffer): Entry | undefined {
  const entry = parseJsonObject(bytes.toString())
  if (entry === undefined || text(entry, 'reason') === undefined || !isCount(valueOf(entry, 'length'))) return undefined
  const offset = valueOf(entry, 'offset')
  return isCount(offset) ? { offset, line: text(entry, 'line') ?? text(entry, 'lineBase64') } : undefined
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** @param isAfterEntry otherwise only a beginning that nothing else has counts as one of ours */
function isTornEntry(bytes: Buffer, isAfterEntry: boolean): boolean {
  const start = bytes.toString('latin1', 0, maxEntryStartBytes).replace(/\d+/g, '0')
  return start.startsWith(entryStart) || (isAfterEntry && entryStart.startsWith(start))
}

function addEntry(appended: Set<string>, bytes: Buffer, fromOffset: number): void {
  // Most entries are before the offset, and a number is faster to find than the whole entry is to parse.
  const offsetAt = '{"offset":'.length
  if (Number.parseInt(bytes.toString('latin1', offsetAt, offsetAt + 16), 10) < fromOffset) return
  const entry = parseEntry(bytes)
  if (entry === undefined || entry.offset < fromOffset) return
  appended.add(keyOf(entry.offset, entry.line))
  // No more lines than these can have been open when a run was killed; older entries are of other runs.
  for (const oldest of appended) {
    if (appended.size <= maxOpenLines) break
    appended.delete(oldest)
  }
}

/** Another run may have had another line at this offset. */
function keyOf(offset: number, line = ''): string {
  return `${offset} ${createHash('sha1').update(line).digest('base64')}`
}

function notRejects(path: string, problem: string): FilesError {
  return new FilesError(`${path} is not a file of rejects: ${problem}`, {
    reason: 'not-rejects',
    hints: ['name another file with --rejects'],
  })
}
