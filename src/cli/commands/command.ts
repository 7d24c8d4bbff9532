import type { Command } from 'commander'
import type { Context } from '../context.js'

/**
 * Runs what a command line asks for. The command imports its run.ts in there: showing help, or a usage error, needs none of it.
 */
export type Run = (work: (context: Context) => Promise<void>) => Promise<void>

/** Adds a command, its flags and its help to the program. */
export type CommandDefinition = (program: Command, run: Run) => void
