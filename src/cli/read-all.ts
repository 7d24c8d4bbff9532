import { addAbortSignal, type Readable } from 'node:stream'
import { UsageError } from '../errors.js'

/** More than all service files that a person writes, with their specifications. */
const maxBytes = 64 * 1024 * 1024

/** All of standard input. @throws UsageError when it is too large or not UTF-8, and the reason of the aborted signal */
export async function readAll(stream: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of addAbortSignal(signal, stream)) {
      const bytes = Buffer.from(chunk as Uint8Array | string)
      size += bytes.length
      if (size > maxBytes)
        throw new UsageError('standard input is larger than 64 MiB', { hints: ['give the files to -f by their names'] })
      chunks.push(bytes)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new UsageError('standard input is not UTF-8 text', { cause, hints: ['convert it to UTF-8'] })
  }
}
