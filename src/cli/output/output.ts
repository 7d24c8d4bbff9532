import { writeSync } from 'node:fs'
import { hasErrorCode } from '../../errors.js'

/** What every command takes. */
export interface OutputOptions {
  readonly json?: true
  readonly verbose?: true
}

/** One of the two ways out of the process. */
export interface Output {
  readonly isTerminal: boolean
  /** Resolves when the system has taken all of it. */
  write(text: string | Uint8Array): Promise<void>
  /** For a library that draws by itself. */
  readonly stream: () => NodeJS.WriteStream
}

/** The reader has gone (`kyconnect … | head`): there is nobody left to tell anything to. */
class ClosedPipe extends Error {
  readonly code = 'CLOSED_PIPE'
}

/** Told by its code: the class is in more than one bundle. */
export function isClosedPipe(error: unknown): boolean {
  return hasErrorCode(error, 'CLOSED_PIPE')
}

/** Milliseconds between tries where a pipe is full and must not block. */
const fullPause = 5

/**
 * Writes all of a text to a file descriptor. Not through process.stdout: setting that up costs more than showing a help text.
 * @throws an error that {@link isClosedPipe} knows
 */
export async function writeAll(fd: number, text: string | Uint8Array): Promise<void> {
  let rest = typeof text === 'string' ? Buffer.from(text) : text
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      if (hasErrorCode(error, 'EPIPE')) throw new ClosedPipe('the reader has gone', { cause: error })
      if (!hasErrorCode(error, 'EAGAIN')) throw error
      await new Promise((resolve) => setTimeout(resolve, fullPause))
    }
  }
}
