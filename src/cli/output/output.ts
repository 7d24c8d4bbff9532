import { write, writeSync } from 'node:fs'
import { hasErrorCode } from '../../errors.js'

/** What every command takes. */
export interface OutputOptions {
  readonly json?: true
  readonly verbose?: true
}

/** Standard output or standard error. */
export interface Output {
  readonly isTerminal: boolean
  /** Columns of the terminal; undefined where there is none, and lines are not wrapped. */
  readonly columns: () => number | undefined
  /** Resolves when the system has taken all of it. */
  write(text: string | Uint8Array): Promise<void>
  /** The same in another thread: a reader that has stopped reading does not stop this process. */
  writeInBackground(text: string): Promise<void>
  /** For a library that draws on the terminal itself. */
  readonly stream: () => NodeJS.WriteStream
}

/** The reader has closed the pipe (`kyconnect … | head`): the program ends quietly, with 0. */
class ClosedPipe extends Error {
  readonly code = 'CLOSED_PIPE'
}

/** Recognised by its code, because the class is in more than one bundle. */
export function isClosedPipe(error: unknown): boolean {
  return hasErrorCode(error, 'CLOSED_PIPE')
}

/** Pause between tries to write to a full pipe that must not block. */
const fullPipePauseMs = 5

/**
 * Writes all of a text to a file descriptor. It bypasses process.stdout, because setting that up takes longer than showing a help text.
 * @param writeSome writes a part of it, and returns how many bytes; by default without waiting for a thread
 * @throws an error that {@link isClosedPipe} knows
 */
export async function writeAll(
  fd: number,
  text: string | Uint8Array,
  writeSome: (fd: number, bytes: Uint8Array) => number | Promise<number> = writeSync,
): Promise<void> {
  let rest = typeof text === 'string' ? Buffer.from(text) : text
  while (rest.length > 0) {
    try {
      rest = rest.subarray(await writeSome(fd, rest))
    } catch (error) {
      if (hasErrorCode(error, 'EPIPE')) throw new ClosedPipe('the reader has closed the pipe', { cause: error })
      if (!hasErrorCode(error, 'EAGAIN')) throw error
      await new Promise((resolve) => setTimeout(resolve, fullPipePauseMs))
    }
  }
}

/** Writes in a thread of the pool, where a full pipe blocks nothing else. As long as it blocks there, process.exit waits for it. */
export function writeInThread(fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}
