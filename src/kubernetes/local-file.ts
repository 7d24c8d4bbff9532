import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { errorCodeOf, hasErrorCode } from '../errors.js'
import { fileProblemOf } from '../file-problem.js'

const usualMaxBytes = 4 * 1024 * 1024
const chunkBytes = 64 * 1024
/** How long a pipe may be silent. */
const maxSilenceMs = 10_000
const pollMs = 20

/** The path is not a file or a pipe, or the file is too large. */
class UnreadableFile extends Error {}
export class FileTooLarge extends UnreadableFile {}

/**
 * Reads a text file that a kubeconfig names, or a kubeconfig itself: a file, or a pipe such as <(command). Neither a FIFO without a
 * writer nor a device blocks it.
 * @throws what the system reports; {@link fileProblem} says it in words
 */
export async function readLocalFile(
  path: string,
  signal: AbortSignal,
  maxBytes: number = usualMaxBytes,
): Promise<string> {
  // Without O_NONBLOCK, opening a FIFO waits for its writer, and no signal can end that.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = await file.stat()
    if (!stat.isFile() && !stat.isFIFO()) throw new UnreadableFile('it is not a file')
    const chunks: Buffer[] = []
    let size = 0
    let silentMs = 0
    for (;;) {
      signal.throwIfAborted()
      const chunk = Buffer.alloc(chunkBytes)
      const read = await file.read(chunk).catch((error: unknown) => {
        if (hasErrorCode(error, 'EAGAIN') && silentMs < maxSilenceMs) return undefined
        throw error
      })
      // A FIFO that no process has written to yet looks as if it had ended.
      const isSilent =
        read === undefined || (read.bytesRead === 0 && size === 0 && stat.isFIFO() && silentMs < maxSilenceMs)
      if (isSilent) {
        silentMs += pollMs
        await pause(pollMs)
        continue
      }
      if (read.bytesRead === 0) return Buffer.concat(chunks).toString('utf8')
      silentMs = 0
      size += read.bytesRead
      if (size > maxBytes) throw new FileTooLarge(`it is larger than ${maxBytes / 1024 / 1024} MiB`)
      chunks.push(chunk.subarray(0, read.bytesRead))
    }
  } finally {
    await file.close()
  }
}

/** Why a file cannot be read, to follow a colon. */
export function fileProblem(error: unknown): string {
  if (error instanceof UnreadableFile) return error.message
  const code = errorCodeOf(error)
  switch (code) {
    case 'EISDIR':
      return 'it is a directory'
    case 'EAGAIN':
      return `nothing arrived through the pipe for ${maxSilenceMs / 1000} s`
    default:
      return fileProblemOf(code)
  }
}
