import { Command, CommanderError } from 'commander'
import { UsageError } from '../errors.js'
import { addCallCommand } from './commands/call.js'
import { addInfoCommand } from './commands/info.js'
import { addPairCommand } from './commands/pair.js'
import { addSandboxCommand } from './commands/sandbox.js'
import type { Context } from './context.js'
import { reportError } from './output/error-report.js'

const examples = `
Examples:
  $ kyconnect sandbox                     a local Kyma, to try all this without a cluster
  $ pbpaste | kyconnect pair --url -      from a one-time token URL to a stored certificate
  $ kyconnect info                        what is stored, until when it is valid, which URLs it is for
  $ kyconnect call metadata               the services of the App

Exit codes: 0 ok, 1 other, 2 usage, 3 token refused, 4 trust, 5 no usable identity, 6 refused (4xx),
7 service failed, 8 network or time-out, 9 local files, 130 Ctrl-C, 143 SIGTERM.
`

/** Runs one command line. @returns the exit code */
export async function main(args: readonly string[], context: Context): Promise<number> {
  // Needed also where the arguments cannot be parsed.
  const beforeDashes = args.slice(0, args.includes('--') ? args.indexOf('--') : args.length)
  const how = { json: beforeDashes.includes('--json'), verbose: beforeDashes.includes('--verbose') }
  const program = createProgram(context)
  try {
    if (args.length === 0) await context.stdout.write(program.helpInformation() + examples)
    else await program.parseAsync([...args], { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      return reportError(usageError(error, args), how, context)
    }
    return reportError(error, how, context)
  }
}

function createProgram(context: Context): Command {
  const program = new Command('kyconnect')
    .description("Connects an external system to Kyma's Application Connector over mutual TLS.")
    .version(context.version, '--version', 'print the version')
    .helpOption('-h, --help', 'show help, with examples')
    .helpCommand(false)
    .addHelpText('after', examples)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
  addPairCommand(program, context)
  addInfoCommand(program, context)
  addCallCommand(program, context)
  addSandboxCommand(program, context)
  for (const command of program.commands) {
    command.copyInheritedSettings(program)
    command.helpOption('-h, --help', 'show help, with examples')
  }
  return program
}

function usageError(error: CommanderError, args: readonly string[]): UsageError {
  const [command] = args.filter((arg) => !arg.startsWith('-'))
  const known = command !== undefined && ['pair', 'info', 'call', 'sandbox'].includes(command)
  return new UsageError(error.message.replace(/^error: /, ''), {
    hint: `see kyconnect ${known ? `${command} ` : ''}--help`,
  })
}
