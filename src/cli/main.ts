import { Command, CommanderError } from 'commander'
import type { Run } from './commands/command.js'
import { commands } from './commands/list.js'
import type { Context } from './context.js'
import { isClosedPipe } from './output/output.js'

const examples = `
Examples:
  # a local Kyma, to try all this without a cluster
  $ kyconnect sandbox
  # from a one-time token URL to a stored certificate
  $ pbpaste | kyconnect pair --url -
  # what is stored, until when it is valid, which URLs it is for
  $ kyconnect info
  # the services of the App
  $ kyconnect call metadata

Exit codes: 0 ok, 1 other, 2 usage, 3 token refused, 4 trust,
5 no usable identity, 6 refused (4xx), 7 service failed,
8 network or time-out, 9 local files, 130 Ctrl-C, 143 SIGTERM.
`

/**
 * Runs one command line.
 * @param show takes help texts
 * @param width columns of the terminal; undefined where there is none
 * @returns the exit code
 * @throws when the reader of a help text has gone
 */
export async function main(
  args: readonly string[],
  version: string,
  show: (text: string) => Promise<void>,
  width: number | undefined,
): Promise<number> {
  let context: Context | undefined
  let help = ''
  const run: Run = async (work) => {
    const session = await import('./session.js')
    context = await session.createContext()
    await work(context)
  }
  const program = createProgram(version, run, (text) => (help += text), width)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return 0
  } catch (error) {
    if (isClosedPipe(error)) throw error
    if (error instanceof CommanderError && (error.exitCode === 0 || args.length === 0)) {
      await show(help === '' ? program.helpInformation() + examples : help)
      return 0
    }
    const session = await import('./session.js')
    // commander shows the program's help for `help <what is no command>`, and counts it as a failure.
    const problem = error instanceof CommanderError && error.code === 'commander.help' ? 'unknown command' : undefined
    const names = program.commands.map((command) => command.name())
    const shown = error instanceof CommanderError ? session.usageError(problem ?? error.message, args, names) : error
    return session.reportError(shown, args, context ?? (await session.createContext()))
  }
}

const widestHelp = 110

function createProgram(
  version: string,
  run: Run,
  keepHelp: (text: string) => void,
  width: number | undefined,
): Command {
  const program = new Command('kyconnect')
    .description("Connects an external system to Kyma's Application Connector over mutual TLS.")
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show help, with examples')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', examples)
    .exitOverride()
    .configureOutput({
      writeOut: keepHelp,
      writeErr: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => Math.min(width ?? widestHelp, widestHelp),
    })
  for (const define of commands) define(program, run)
  for (const command of program.commands) {
    command.copyInheritedSettings(program)
    command.helpOption('-h, --help', 'show help, with examples')
  }
  return program
}
