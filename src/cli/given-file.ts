import { open } from 'node:fs/promises'
import { FilesError, UsageError } from '../errors.js'

/** A bundle of all public CA certificates takes less than a quarter of this. */
const maxFileBytes = 4 * 1024 * 1024

/**
 * Reads a text file that the user named, or a pipe such as <(command).
 * @param flag the flag or variable that named it, for the errors
 * @throws FilesError, and UsageError when the file is too large
 */
export async function readGivenFile(path: string, flag: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    const file = await open(path, 'r')
    try {
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024))
        if (bytesRead === 0 || size > maxFileBytes) break
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
  if (size <= maxFileBytes) return Buffer.concat(chunks).toString('utf8')
  throw new UsageError(`${flag}: ${JSON.stringify(path)} is larger than ${maxFileBytes / 1024 / 1024} MiB`, {
    hints: [`check that ${flag} names the right file`],
  })
}
