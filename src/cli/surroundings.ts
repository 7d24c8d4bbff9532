import { type KeyObject, randomBytes } from 'node:crypto'
import { homedir, hostname } from 'node:os'
import { isatty } from 'node:tty'
import { FilesError, InterruptedError, type KyconnectError, TerminatedError } from '../errors.js'
import { Kyconnect, type Surroundings } from '../kyconnect.js'
import type { Context } from './context.js'
import { isClosedPipe, type Output, writeAll } from './output/output.js'

/** Everything the process gives, gathered once; nothing below reads `process`. */
export function createContext(begunKey: Promise<KeyObject> | undefined): Context {
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
    monotonic: () => Number(process.hrtime.bigint()) / 1e6,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  }
  return {
    around,
    kyconnect: new Kyconnect(around),
    stdin: { isTerminal: isatty(0), stream: () => process.stdin },
    stdout: outputOf(1, () => process.stdout),
    stderr: outputOf(2, () => process.stderr),
    ...listenForSignals(),
    begunKey,
    hideArguments: () => {
      process.title = 'kyconnect'
    },
  }
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

const standardOutput = 1

function outputOf(fd: number, stream: () => NodeJS.WriteStream): Output {
  return {
    isTerminal: isatty(fd),
    stream,
    write: async (text) => {
      try {
        await writeAll(fd, text)
      } catch (error) {
        // What cannot be told to anybody must not change how the command ends.
        if (fd !== standardOutput) return
        if (isClosedPipe(error)) throw error
        const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
        throw new FilesError(`could not write to standard output: ${code}`, {
          cause: error,
          hint: 'check where it is redirected to, and the space left there',
        })
      }
    },
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
