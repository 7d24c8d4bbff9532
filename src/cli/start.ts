import type { KeyObject } from 'node:crypto'
import { fstatSync } from 'node:fs'
import { main } from './main.js'
import { isClosedPipe, writeAll } from './output/output.js'

/** Runs the command line of this process, and ends it. */
export async function start(version: string, begunKey?: Promise<KeyObject>): Promise<void> {
  let exitCode: number
  try {
    // Only a terminal has a width, and setting up the stream to ask it, or loading node:tty, takes a while.
    const width = fstatSync(1).isCharacterDevice() ? process.stdout.columns : undefined
    exitCode = await main(process.argv.slice(2), version, (text) => writeAll(1, text), width, begunKey)
  } catch (error) {
    if (!isClosedPipe(error)) throw error
    exitCode = 0
  }
  // Connections, timers and a key that is still being made must not keep the process.
  process.exit(exitCode)
}
