import type { KeyObject } from 'node:crypto'
import { main } from './main.js'
import { isClosedPipe, writeAll } from './output/output.js'

/** Runs the command line of this process, and ends it. */
export async function start(version: string, begunKey?: Promise<KeyObject>): Promise<void> {
  let exitCode: number
  try {
    exitCode = await main(process.argv.slice(2), version, (text) => writeAll(1, text), begunKey)
  } catch (error) {
    if (!isClosedPipe(error)) throw error
    exitCode = 0
  }
  // Connections, timers and a key that is still being made must not keep the process.
  process.exit(exitCode)
}
