import { type FileHandle, open } from 'node:fs/promises'
import { orAborted } from './or-aborted.js'

/** Where lines of events come from. */
export interface EventInput {
  /** Makes reading begin at this offset if the input can seek. @returns the offset where it begins, otherwise 0 */
  seek(offset: number): number
  /** The next bytes, which the reader may keep; undefined at the end. */
  read(): Promise<Buffer | undefined>
  /** Does not wait for a read that was given up on: nothing may ever arrive. */
  close(): Promise<void>
  /** How many bytes it has, as far as that is known: a file may grow. */
  readonly size: number | undefined
}

const chunkBytes = 128 * 1024

/**
 * Opens a file, a FIFO or a device such as /dev/stdin. A FIFO is waited for until a program writes to it.
 * @throws what the system reports; the reason of the signal
 */
export async function openInputFile(path: string, signal: AbortSignal): Promise<EventInput> {
  const opening = open(path, 'r')
  const file = await orAborted(opening, signal).catch((error: unknown) => {
    // It may still open, and then nothing uses it.
    opening.then((late) => late.close()).catch(() => undefined)
    throw error
  })
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
  #isReading = false

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
    this.#isReading = true
    const { bytesRead } = await this.#file.read(buffer, 0, chunkBytes, this.size === undefined ? null : this.#position)
    this.#isReading = false
    this.#position += bytesRead
    if (bytesRead === 0) return undefined
    const bytes = buffer.subarray(0, bytesRead)
    // A pipe may give one line at a time, and the reader keeps what it gets.
    return bytesRead < chunkBytes / 4 ? Buffer.from(bytes) : bytes
  }

  async close(): Promise<void> {
    const closing = this.#file.close()
    if (this.#isReading) closing.catch(() => undefined)
    else await closing
  }
}

/** Reads chunks that arrive: of standard input, or from a program. A stream of Node is destroyed when the input is closed. */
export function streamInput(stream: AsyncIterable<Uint8Array> & { destroy?(): unknown }): EventInput {
  const iterator = stream[Symbol.asyncIterator]()
  let isReading = false
  return {
    size: undefined,
    seek: () => 0,
    read: async () => {
      isReading = true
      const next = await iterator.next()
      isReading = false
      if (next.done === true) return undefined
      const { buffer, byteOffset, byteLength } = next.value
      return Buffer.from(buffer, byteOffset, byteLength)
    },
    close: async () => {
      stream.destroy?.()
      const closing = iterator.return?.()
      if (isReading) closing?.catch(() => undefined)
      else await closing
    },
  }
}
