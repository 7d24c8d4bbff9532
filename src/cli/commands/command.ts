import type { Command } from 'commander'
import type { Context } from '../context.js'

/** Runs a command with its context. The command imports its run.ts inside `work`, because help and usage errors do not need it. */
export type Run = (work: (context: Context) => Promise<void>) => Promise<void>

/** Adds a command, its flags and its help to the program. */
export type CommandDefinition = (program: Command, run: Run) => void
