import { Command, CommanderError, Option } from 'commander'
import type { Run } from './commands/command.js'
import { commands } from './commands/list.js'
import type { Context } from './context.js'
import { listExitCodes } from './exit-codes.js'
import { isClosedPipe } from './output/output.js'
import { wrapWords } from './output/word-wrap.js'

const examples = `
Examples:
  # run a local Kyma, to try everything without a cluster
  $ kyconnect sandbox
  # pair: from a one-time token URL to a stored certificate
  $ pbpaste | kyconnect pair --url -
  # show the App, the certificate and the URLs
  $ kyconnect info
  # list the services of the App
  $ kyconnect call metadata
`

/**
 * Runs one command line.
 * @param show writes a help text to standard output
 * @param columns of the terminal; undefined where there is none
 * @returns the exit code
 * @throws when the reader of a help text has closed the pipe
 */
export async function main(
  args: readonly string[],
  version: string,
  show: (text: string) => Promise<void>,
  columns: number | undefined,
): Promise<number> {
  let context: Context | undefined
  let help = ''
  const run: Run = async (work) => {
    const session = await import('./session.js')
    context = await session.createContext()
    await work(context)
  }
  const program = createProgram(version, run, (text) => (help += text), columns)
  try {
    await program.parseAsync([...args], { from: 'user' })
    await show(help)
    return context?.exitCode ?? 0
  } catch (error) {
    if (isClosedPipe(error)) throw error
    if (error instanceof CommanderError && (error.exitCode === 0 || args.length === 0)) {
      if (help === '') program.outputHelp()
      await show(help)
      return 0
    }
    const session = await import('./session.js')
    const shown = error instanceof CommanderError ? session.usageError(error, args, program) : error
    return session.reportError(shown, args, context ?? (await session.createContext()))
  }
}

const maxHelpColumns = 110

/**
 * The whole command line: every command with its flags and its help.
 * @param keepHelp takes the text of --help and --version
 */
export function createProgram(
  version: string,
  run: Run,
  keepHelp: (text: string) => void,
  columns: number | undefined,
): Command {
  const width = Math.min(columns ?? maxHelpColumns, maxHelpColumns)
  const exitCodes = listExitCodes().map(({ exitCode, meaning }) => `  ${String(exitCode).padEnd(4)} ${meaning}\n`)
  const program = new Command('kyconnect')
    .description("Connects an external system to Kyma's Application Connector over mutual TLS.")
    .version(version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show help, with examples')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', `${examples}\nExit codes:\n${wrapWords(exitCodes.join(''), width)}`)
    .exitOverride()
    // -v after a command is not the program's -v.
    .enablePositionalOptions()
    .configureHelp({ minWidthToWrap: 20 })
    .configureOutput({
      writeOut: keepHelp,
      writeErr: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => width,
    })
  for (const define of commands) define(program, run)
  for (const command of program.commands) {
    for (const each of [command, ...command.commands]) {
      each.copyInheritedSettings(program)
      each.addHelpOption(new Option('-h, --help', 'show help, with examples').helpGroup('Output:'))
    }
  }
  program.command('version', { hidden: true }).action(() => {
    keepHelp(`${version}\n`)
  })
  return program
}
