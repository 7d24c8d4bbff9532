import { type BigIntStats, close, constants, createReadStream, fstat, open } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { isatty, ReadStream } from 'node:tty'
import { promisify } from 'node:util'

const openFd = promisify(open)
const closeFd = promisify(close)
const statFd: (fd: number, options: { readonly bigint: true }) => Promise<BigIntStats> = promisify(fstat)

/** A file that is open for reading. Its user closes the descriptor, or has {@link streamOf} close it. */
export interface OpenedFile {
  readonly fd: number
  readonly stat: BigIntStats
}

/**
 * Opens a file, a pipe such as <(command), or a device, for reading. It does not wait for a program to write to a FIFO: while a thread
 * waits for that, no signal can end the process.
 * @throws what the system reports
 */
export async function openReadable(path: string): Promise<OpenedFile> {
  const fd = await openFd(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return { fd, stat: await statFd(fd, { bigint: true }) }
  } catch (error) {
    await closeFd(fd)
    throw error
  }
}

/**
 * The content of an opened file. The stream closes the descriptor when it ends or is destroyed. A FIFO without a writer, a silent pipe and
 * a silent terminal occupy no thread.
 */
export function streamOf({ fd, stat }: OpenedFile): Readable {
  if (stat.isFIFO()) return new Socket({ fd, readable: true, writable: false })
  if (stat.isCharacterDevice() && isatty(fd)) return new ReadStream(fd)
  return createReadStream('', { fd })
}
