import { close, read } from 'node:fs'
import { promisify } from 'node:util'
import { type OpenedFile, openReadable, streamOf } from '../open-readable.js'

/** Where lines of events come from. */
export interface EventInput {
  /** Makes reading begin at this offset, or at the end of a shorter file; a stream begins at 0. @returns where reading begins */
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
 * Opens a file, a FIFO or a device such as /dev/stdin. A FIFO is waited for, when it is read, until a program writes to it.
 * @throws what the system reports
 */
export async function openInputFile(path: string): Promise<EventInput> {
  const opened = await openReadable(path)
  return opened.stat.isFile() ? new FileInput(opened) : streamInput(streamOf(opened))
}

const readFd = promisify(read)
const closeFd = promisify(close)

class FileInput implements EventInput {
  readonly size: number
  readonly #fd: number
  #position = 0
  #reading: Promise<unknown> = Promise.resolve()

  constructor({ fd, stat }: OpenedFile) {
    this.#fd = fd
    this.size = Number(stat.size)
  }

  seek(offset: number): number {
    this.#position = Math.min(offset, this.size)
    return this.#position
  }

  async read(): Promise<Buffer | undefined> {
    // Lines refer to their part of the buffer, so each read needs a new one.
    const buffer = Buffer.allocUnsafeSlow(chunkBytes)
    const reading = readFd(this.#fd, buffer, 0, chunkBytes, this.#position)
    this.#reading = reading
    const { bytesRead } = await reading
    this.#position += bytesRead
    return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead)
  }

  async close(): Promise<void> {
    // A descriptor that is closed during a read may be that of another file by then.
    await this.#reading.catch(() => undefined)
    await closeFd(this.#fd)
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
