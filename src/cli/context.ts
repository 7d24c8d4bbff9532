import type { BigIntStats } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Kyconnect } from '../kyconnect.js'
import type { Runtime } from '../runtime.js'
import type { ExitCode } from './exit-codes.js'
import type { Output } from './output/output.js'

/** Standard input: typed or piped. */
export interface Input {
  readonly isTerminal: boolean
  readonly stream: () => Readable
  /** The file, pipe or terminal that it is now; undefined if it is closed. */
  readonly stat: () => BigIntStats | undefined
}

/** Everything that a command may use: it takes nothing from the process itself. */
export interface Context {
  readonly runtime: Runtime
  readonly kyconnect: Kyconnect
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  /** Resolves on the first Ctrl-C or SIGTERM, for a command that runs until then. */
  readonly stopped: Promise<void>
  /** Ends the process by the signal that it received, if any, without waiting for what it is doing. The init process of a container goes on. */
  readonly endNow: () => void
  /** Calls the listener at each SIGHUP from now on; without a listener, that signal ends the program. */
  readonly onHangup: (listener: () => void) => void
  /** The path of the JSON Schema that the package has for service files. */
  readonly schemaFile: () => string
  /** Milliseconds between two lines of progress, where there is no terminal. */
  readonly progressEveryMs: number
  /** How the program ends after a command that throws nothing: 0 unless the command sets it. */
  exitCode: ExitCode
  /** Hides the command line from other users of the machine. */
  readonly hideArguments: () => void
}
