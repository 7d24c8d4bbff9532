import { callCommand } from './call/flags.js'
import type { CommandDefinition } from './command.js'
import { eventsCommand } from './events/flags.js'
import { importCommand } from './import/flags.js'
import { infoCommand } from './info/flags.js'
import { pairCommand } from './pair/flags.js'
import { removeCommand } from './remove/flags.js'
import { renameCommand } from './rename/flags.js'
import { renewCommand } from './renew/flags.js'
import { revokeCommand } from './revoke/flags.js'
import { rollbackCommand } from './rollback/flags.js'
import { sandboxCommand } from './sandbox/flags.js'
import { servicesCommand } from './services/flags.js'
import { statusCommand } from './status/flags.js'
import { tokenCommand } from './token/flags.js'

/** Every command, in the order of the help text. A new command needs a folder beside these, and a line here. */
export const commands: readonly CommandDefinition[] = [
  pairCommand,
  infoCommand,
  callCommand,
  servicesCommand,
  eventsCommand,
  statusCommand,
  renewCommand,
  rollbackCommand,
  revokeCommand,
  renameCommand,
  removeCommand,
  importCommand,
  tokenCommand,
  sandboxCommand,
]
