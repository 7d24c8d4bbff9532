import { open } from 'node:fs/promises'
import { FilesError, UsageError } from '../errors.js'

/** Bytes: a whole bundle of CA certificates has less than a quarter of it. */
const largest = 4 * 1024 * 1024

/**
 * Reads a text file that the user named: a file, or a pipe such as <(command), up to its end or to a limit.
 * @param flag what named it, for the errors
 * @throws FilesError, UsageError when it is larger than any such file
 */
export async function readGivenFile(path: string, flag: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    const file = await open(path, 'r')
    try {
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024))
        if (bytesRead === 0 || size > largest) break
        size += bytesRead
        chunks.push(buffer.subarray(0, bytesRead))
      }
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw new FilesError(`${flag}: ${JSON.stringify(path)} cannot be read`, {
      cause,
      hints: ['check the path and its permissions'],
    })
  }
  if (size <= largest) return Buffer.concat(chunks).toString('utf8')
  throw new UsageError(`${flag}: ${JSON.stringify(path)} is larger than ${largest / 1024 / 1024} MiB`, {
    hints: ['is it the right file?'],
  })
}
