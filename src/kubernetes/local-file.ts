import { addAbortSignal } from 'node:stream'
import { errorCodeOf } from '../errors.js'
import { fileProblemOf } from '../file-problem.js'
import { openReadable, streamOf } from '../open-readable.js'

const usualMaxBytes = 4 * 1024 * 1024
/** How long a pipe may be silent. */
const maxSilenceMs = 10_000

/** The path is not a file or a pipe, the file is too large, or nothing arrives through the pipe. */
class UnreadableFile extends Error {}
export class FileTooLarge extends UnreadableFile {}

/**
 * Reads a text file that a kubeconfig names, or a kubeconfig itself: a file, or a pipe such as <(command).
 * @throws as {@link readLocalBytes}
 */
export async function readLocalFile(
  path: string,
  signal: AbortSignal,
  maxBytes: number = usualMaxBytes,
): Promise<string> {
  return (await readLocalBytes(path, signal, maxBytes)).toString('utf8')
}

/**
 * Reads a file, or a pipe such as <(command). Neither a FIFO without a writer nor a device blocks it.
 * @throws what the system reports; {@link fileProblem} says it in words
 */
export async function readLocalBytes(
  path: string,
  signal: AbortSignal,
  maxBytes: number = usualMaxBytes,
): Promise<Buffer> {
  const opened = await openReadable(path)
  const stream = streamOf(opened)
  const isPipe = opened.stat.isFIFO()
  const silence = (): void => {
    stream.destroy(new UnreadableFile(`nothing arrived through the pipe for ${maxSilenceMs / 1000} s`))
  }
  const timer = isPipe ? setTimeout(silence, maxSilenceMs) : undefined
  try {
    if (opened.stat.isDirectory()) throw new UnreadableFile(fileProblemOf('EISDIR'))
    if (!opened.stat.isFile() && !isPipe) throw new UnreadableFile('it is not a file')
    const source: AsyncIterable<Uint8Array> = addAbortSignal(signal, stream)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of source) {
      timer?.refresh()
      size += chunk.length
      if (size > maxBytes) throw new FileTooLarge(`it is larger than ${maxBytes / 1024 / 1024} MiB`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timer)
    stream.destroy()
  }
}

/** Why a file cannot be read, to follow a colon. */
export function fileProblem(error: unknown): string {
  return error instanceof UnreadableFile ? error.message : fileProblemOf(errorCodeOf(error))
}
