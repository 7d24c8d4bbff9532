import { randomBytes } from 'node:crypto'
import { homedir, hostname } from 'node:os'
import { performance } from 'node:perf_hooks'
import { InterruptedError, type KyconnectError, TerminatedError } from '../errors.js'
import { Kyconnect, type Surroundings } from '../kyconnect.js'
import type { Context, Output } from './context.js'
import { main } from './main.js'

/** Everything the process gives, gathered once; nothing below reads `process`. */
export async function start(version: string): Promise<void> {
  const environment = { ...process.env }
  // A child, or a library that prints its environment, has no business with a token.
  delete process.env['KYCONNECT_TOKEN_URL']
  const around: Surroundings = {
    environment,
    platform: process.platform,
    userHome: homedir(),
    userId: process.geteuid?.(),
    pid: process.pid,
    hostname: hostname(),
    isAlive,
    now: () => new Date(),
    monotonic: () => performance.now(),
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  }
  const { signal, stopped } = listenForSignals()
  const context: Context = {
    around,
    kyconnect: new Kyconnect(around),
    stdin: { isTerminal: process.stdin.isTTY, stream: process.stdin },
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    signal,
    version,
    stopped,
    hideArguments: () => {
      process.title = 'kyconnect'
    },
  }
  const exitCode = await main(process.argv.slice(2), context)
  // Connections, timers and a key that is still being made must not keep the process.
  process.exit(exitCode)
}

/** The first signal lets what is under way end in good order; a second one ends the process at once. */
function listenForSignals(): { signal: AbortSignal; stopped: Promise<void> } {
  const controller = new AbortController()
  const stopped = new Promise<void>((resolve) => {
    const onSignal = (error: KyconnectError, exitCode: number) => (): void => {
      if (controller.signal.aborted) process.exit(exitCode)
      controller.abort(error)
      resolve()
    }
    process.on('SIGINT', onSignal(new InterruptedError('interrupted'), 130))
    process.on('SIGTERM', onSignal(new TerminatedError('told to end (SIGTERM)'), 143))
  })
  return { signal: controller.signal, stopped }
}

function outputOf(stream: NodeJS.WriteStream): Output {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has gone (kyconnect … | head): there is nobody left to tell anything to.
    process.exit(error.code === 'EPIPE' ? 0 : 9)
  })
  return {
    isTerminal: stream.isTTY,
    write: (text) =>
      new Promise((resolve) => {
        stream.write(text, () => {
          resolve()
        })
      }),
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
