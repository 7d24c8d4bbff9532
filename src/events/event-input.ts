import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'

/** Where lines of events come from. */
export interface EventInput {
  /** Makes reading begin at this offset if the input can seek. @returns the offset where it begins, otherwise 0 */
  seek(offset: number): number
  /** The next bytes, which the reader may keep; undefined at the end. */
  read(): Promise<Buffer | undefined>
  close(): Promise<void>
  /** How many bytes it has, as far as that is known: a file may grow. */
  readonly size: number | undefined
}

const chunkBytes = 128 * 1024

/**
 * Opens a file, a FIFO or a device such as /dev/stdin.
 * @throws what the system reports
 */
export async function openInputFile(path: string): Promise<EventInput> {
  const file = await open(path, 'r')
  try {
    const stat = await file.stat()
    return new FileInput(file, stat.isFile() ? stat.size : undefined)
  } catch (error) {
    await file.close()
    throw error
  }
}

class FileInput implements EventInput {
  readonly size: number | undefined
  readonly #file: FileHandle
  #position: number

  constructor(file: FileHandle, size: number | undefined) {
    this.#file = file
    this.size = size
    this.#position = 0
  }

  seek(offset: number): number {
    if (this.size !== undefined) this.#position = offset
    return this.#position
  }

  async read(): Promise<Buffer | undefined> {
    // Lines refer to their part of the buffer, so each read needs a new one.
    const buffer = Buffer.allocUnsafeSlow(chunkBytes)
    const { bytesRead } = await this.#file.read(buffer, 0, chunkBytes, this.size === undefined ? null : this.#position)
    this.#position += bytesRead
    if (bytesRead === 0) return undefined
    const bytes = buffer.subarray(0, bytesRead)
    // A pipe may give one line at a time, and the reader keeps what it gets.
    return bytesRead < chunkBytes / 4 ? Buffer.from(bytes) : bytes
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** Reads chunks that arrive: of standard input, or from a program. */
export function streamInput(stream: AsyncIterable<Uint8Array>): EventInput {
  const iterator = stream[Symbol.asyncIterator]()
  return {
    size: undefined,
    seek: () => 0,
    read: async () => {
      const next = await iterator.next()
      if (next.done === true) return undefined
      const { buffer, byteOffset, byteLength } = next.value
      return Buffer.from(buffer, byteOffset, byteLength)
    },
    close: async () => {
      // The iterator of a stream waits for a read that is under way, and a pipe may stay silent.
      if (stream instanceof Readable) stream.destroy()
      else await iterator.return?.()
    },
  }
}
