import type { KeyObject } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Kyconnect } from '../kyconnect.js'
import type { Runtime } from '../runtime.js'
import type { Output } from './output/output.js'

/** Where what is typed or piped in comes from. */
export interface Input {
  readonly isTerminal: boolean
  readonly stream: () => Readable
}

/** Everything a command may use: what the process gives, and nothing it could take by itself. */
export interface Context {
  readonly runtime: Runtime
  readonly kyconnect: Kyconnect
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  /** Resolves on the first Ctrl-C or SIGTERM: for a command that runs until it is told to end. */
  readonly stopped: Promise<void>
  /** An RSA 2048 key that was begun at once, for a pairing that will most likely want one. */
  readonly begunKey: Promise<KeyObject> | undefined
  /** Takes what was on the command line out of the sight of other users. */
  readonly hideArguments: () => void
}
