import type { Context } from '../context.js'
import type * as Runs from '../runs/runs.js'

/**
 * Runs what a command line asks for. What that needs is loaded only now: showing help, or a usage error, needs none of it.
 */
export type Run = (work: (runs: typeof Runs, context: Context) => Promise<void>) => Promise<void>
