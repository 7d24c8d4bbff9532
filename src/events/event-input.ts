import { type BigIntStats, close, fstatSync, read } from 'node:fs'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { errorCodeOf, FilesError, KyconnectError } from '../errors.js'
import { fileProblemOf } from '../file-problem.js'
import { type OpenedFile, openReadable, streamOf } from '../open-readable.js'

/** Where lines of events come from. */
export interface EventInput {
  /** Makes reading begin at this offset, or at the end of a shorter file; a stream begins at 0. @returns where reading begins */
  seek(offset: number): number
  /**
   * The next bytes, which the reader may keep; undefined at the end.
   * @throws FilesError if the input cannot be read, or is a file that was truncated meanwhile
   */
  read(): Promise<Buffer | undefined>
  /** Does not wait for bytes that may never arrive. */
  close(): Promise<void>
  /** How many bytes a file had when it was opened: it may grow. undefined for a stream */
  readonly size: number | undefined
  /** What it reads, where that is known. */
  readonly stat: BigIntStats | undefined
}

const chunkBytes = 128 * 1024
const readFd = promisify(read)
const closeFd = promisify(close)

/**
 * Opens a file, a FIFO or a device such as /dev/stdin. A FIFO is waited for, when it is read, until a program writes to it.
 * @throws FilesError
 */
export async function openInputFile(path: string): Promise<EventInput> {
  const opened = await openReadable(path).catch((error: unknown) => {
    throw inputError(error, path)
  })
  if (opened.stat.isDirectory()) {
    await closeFd(opened.fd)
    throw unreadable(path, 'EISDIR')
  }
  return opened.stat.isFile() ? new FileInput(opened, path) : new StreamInput(streamOf(opened), path, () => opened.stat)
}

/**
 * Reads chunks as they arrive: of standard input, for instance. The stream is destroyed when the input is closed.
 * @param name of the stream, for errors
 * @param statOf what the stream reads, as it is now
 */
export function streamInput(
  stream: Readable,
  name = 'standard input',
  statOf: () => BigIntStats | undefined = () => undefined,
): EventInput {
  return new StreamInput(stream, name, statOf)
}

class FileInput implements EventInput {
  readonly size: number
  readonly stat: BigIntStats
  readonly #fd: number
  readonly #path: string
  #position = 0
  #reading: Promise<unknown> = Promise.resolve()

  constructor({ fd, stat }: OpenedFile, path: string) {
    this.#fd = fd
    this.#path = path
    this.stat = stat
    this.size = Number(stat.size)
  }

  seek(offset: number): number {
    this.#position = Math.min(offset, this.size)
    return this.#position
  }

  async read(): Promise<Buffer | undefined> {
    try {
      // Lines refer to their part of the buffer, so each read needs a new one.
      const buffer = Buffer.allocUnsafeSlow(chunkBytes)
      const reading = readFd(this.#fd, buffer, 0, chunkBytes, this.#position)
      this.#reading = reading
      const { bytesRead } = await reading
      this.#position += bytesRead
      if (bytesRead > 0) return buffer.subarray(0, bytesRead)
      refuseTruncated(this.#path, this.stat, fstatSync(this.#fd, { bigint: true }), this.#position)
      return undefined
    } catch (error) {
      throw inputError(error, this.#path)
    }
  }

  async close(): Promise<void> {
    // A descriptor that is closed during a read may be that of another file by then.
    await this.#reading.catch(() => undefined)
    await closeFd(this.#fd)
  }
}

class StreamInput implements EventInput {
  readonly size = undefined
  readonly stat: BigIntStats | undefined
  readonly #stream: Readable
  readonly #chunks: AsyncIterator<Uint8Array, unknown>
  readonly #name: string
  readonly #statOf: () => BigIntStats | undefined
  #position = 0
  #isReading = false

  constructor(stream: Readable, name: string, statOf: () => BigIntStats | undefined) {
    this.#stream = stream
    this.#chunks = stream[Symbol.asyncIterator]()
    this.#name = name
    this.#statOf = statOf
    this.stat = statOf()
  }

  seek(): number {
    return 0
  }

  async read(): Promise<Buffer | undefined> {
    this.#isReading = true
    try {
      const next = await this.#chunks.next()
      this.#isReading = false
      if (next.done === true) {
        refuseTruncated(this.#name, this.stat, this.#statOf(), this.#position)
        return undefined
      }
      const { buffer, byteOffset, byteLength } = next.value
      this.#position += byteLength
      return Buffer.from(buffer, byteOffset, byteLength)
    } catch (error) {
      throw inputError(error, this.#name)
    }
  }

  async close(): Promise<void> {
    this.#stream.destroy()
    const closing = this.#chunks.return?.()
    if (this.#isReading) closing?.catch(() => undefined)
    else await closing
  }
}

/**
 * Refuses a file that is shorter than what has been read of it: lines may have been lost that were written before it was truncated.
 * @param position at least so many bytes have been read
 */
function refuseTruncated(
  name: string,
  before: BigIntStats | undefined,
  now: BigIntStats | undefined,
  position: number,
): void {
  // Some file systems report no size for any file.
  if (before?.isFile() !== true || now === undefined || (before.size === 0n && now.size === 0n)) return
  if (now.size >= position) return
  throw new FilesError(
    `${name} was truncated while it was read: it has ${now.size} bytes, but ${position} bytes have already been read`,
    {
      reason: 'truncated',
      details: { size: Number(now.size), offset: position },
      hints: ['write new events to a new file instead: in logrotate, use "create" instead of "copytruncate"'],
    },
  )
}

/** An error without a code is a bug in kyconnect, and stays what it is. */
function inputError(error: unknown, name: string): unknown {
  const code = errorCodeOf(error)
  return error instanceof KyconnectError || code === '' ? error : unreadable(name, code, error)
}

function unreadable(name: string, code: string, cause?: unknown): FilesError {
  return new FilesError(`${name} cannot be read: ${fileProblemOf(code)}`, {
    cause,
    reason: code,
    hints: ['check that --file names the right file, and its permissions'],
  })
}
