import { fstatSync } from 'node:fs'
import { main } from './main.js'
import { isClosedPipe, writeAll } from './output/output.js'

/** Runs the command line of this process, and ends it. */
export async function start(version: string): Promise<void> {
  let exitCode: number
  try {
    // Only a terminal has a width; setting up the stream to read it, or loading node:tty, would take too long.
    const width = fstatSync(1).isCharacterDevice() ? process.stdout.columns : undefined
    exitCode = await main(process.argv.slice(2), version, (text) => writeAll(1, text), width)
  } catch (error) {
    if (!isClosedPipe(error)) throw error
    exitCode = 0
  }
  // Connections, timers and a key that is still being generated must not keep the process alive.
  process.exit(exitCode)
}
