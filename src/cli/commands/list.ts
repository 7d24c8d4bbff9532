import { callCommand } from './call/flags.js'
import type { CommandDefinition } from './command.js'
import { infoCommand } from './info/flags.js'
import { pairCommand } from './pair/flags.js'
import { sandboxCommand } from './sandbox/flags.js'
import { tokenCommand } from './token/flags.js'

/** Every command, in the order of the help text. A new one is a folder beside these, and a line here. */
export const commands: readonly CommandDefinition[] = [
  pairCommand,
  infoCommand,
  callCommand,
  tokenCommand,
  sandboxCommand,
]
