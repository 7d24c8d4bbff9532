import type { KeyObject } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Kyconnect } from '../kyconnect.js'
import type { Runtime } from '../runtime.js'
import type { Output } from './output/output.js'

/** Standard input. */
export interface Input {
  readonly isTerminal: boolean
  readonly stream: () => Readable
}

/** Everything that a command may use of the process. */
export interface Context {
  readonly runtime: Runtime
  readonly kyconnect: Kyconnect
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  /** Resolves on the first Ctrl-C or SIGTERM, for a command that runs until then. */
  readonly stopped: Promise<void>
  /** An RSA 2048 key whose generation began at the start, for a pairing that most likely needs one. */
  readonly begunKey: Promise<KeyObject> | undefined
  /** Hides the command line from the process list, which other users can read. */
  readonly hideArguments: () => void
}
