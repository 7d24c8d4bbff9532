import { fstatSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { isatty } from 'node:tty'
import { errorCodeOf, FilesError, InterruptedError, type KyconnectError, TerminatedError } from '../errors.js'
import { Kyconnect } from '../kyconnect.js'
import { readRuntime } from '../runtime.js'
import type { Context } from './context.js'
import { isClosedPipe, type Output, writeAll, writeInThread } from './output/output.js'

/** Reads everything that is needed from the process, once; no code below reads `process`. */
export async function createContext(): Promise<Context> {
  const { signal, stopped, endNow } = listenForSignals()
  const runtime = readRuntime(signal)
  // Keep the token from child processes, and from libraries that print their environment.
  delete process.env['KYCONNECT_TOKEN_URL']
  // Node would print a warning about it at each connection, although it has no effect: every connection sets its own checks.
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
  const stderr = separateFromNode()
  return {
    runtime,
    kyconnect: await Kyconnect.open(runtime),
    stdin: {
      get isTerminal() {
        return isTerminal(0)
      },
      stream: () => process.stdin,
      stat: () => {
        try {
          return fstatSync(0, { bigint: true })
        } catch {
          return undefined
        }
      },
    },
    stdout: outputOf(1, () => process.stdout),
    stderr: outputOf(2, stderr),
    stopped,
    endNow,
    onHangup: (listener) => {
      process.on('SIGHUP', listener)
    },
    schemaFile: () => {
      const program = realpathSync(process.argv[1] ?? '')
      return join(dirname(program), '..', 'schema', 'service.schema.json')
    },
    progressEveryMs: 60_000,
    exitCode: 0,
    hideArguments: () => {
      process.title = 'kyconnect'
    },
  }
}

/**
 * When NODE_DEBUG is set, Node's modules log to process.stderr, and the logs may contain credentials. kyconnect writes to the file
 * descriptor itself; only a spinner or a question needs the stream, which is kept for them.
 */
function separateFromNode(): () => NodeJS.WriteStream {
  if ((process.env['NODE_DEBUG'] ?? '') === '') return () => process.stderr
  const { stderr } = process
  const sink = new Writable({
    write: (_chunk, _encoding, done) => {
      done()
    },
  })
  Object.defineProperty(process, 'stderr', { value: sink })
  return () => stderr
}

/** The first signal lets running work end cleanly; a second one ends the process at once. */
function listenForSignals(): Pick<Context, 'stopped' | 'endNow'> & { signal: AbortSignal } {
  const controller = new AbortController()
  let received: 'SIGINT' | 'SIGTERM' | undefined
  const endNow = (): void => {
    if (received === undefined) return
    // process.exit would wait for a file that is being opened, and for a key that is being generated.
    process.removeAllListeners(received)
    process.kill(process.pid, received)
  }
  const stopped = new Promise<void>((resolve) => {
    const listen = (name: 'SIGINT' | 'SIGTERM', error: KyconnectError): void => {
      process.on(name, () => {
        received = name
        if (controller.signal.aborted) {
          endNow()
          return
        }
        controller.abort(error)
        resolve()
      })
    }
    listen('SIGINT', new InterruptedError('interrupted'))
    listen('SIGTERM', new TerminatedError('terminated (SIGTERM)'))
  })
  return { signal: controller.signal, stopped, endNow }
}

const standardOutput = 1

/** For a pipe or a file, this loads nothing: node:tty would load streams and sockets. */
function isTerminal(fd: number): boolean {
  try {
    if (!fstatSync(fd).isCharacterDevice()) return false
  } catch {
    // A descriptor that is closed is not a terminal, and node:tty says so too.
  }
  return isatty(fd)
}

function outputOf(fd: number, stream: () => NodeJS.WriteStream): Output {
  return {
    get isTerminal() {
      return isTerminal(fd)
    },
    columns: () => (isTerminal(fd) ? stream().columns : undefined),
    stream,
    write: async (text) => {
      try {
        await writeAll(fd, text)
      } catch (error) {
        // A message that cannot be written must not change how the command ends.
        if (fd !== standardOutput) return
        if (isClosedPipe(error)) throw error
        const code = errorCodeOf(error) || String(error)
        throw new FilesError(`standard output could not be written: ${code}`, {
          cause: error,
          hints: ['check the place it is redirected to, and the space left there'],
        })
      }
    },
    writeInBackground: (text) => writeAll(fd, text, writeInThread),
  }
}
