import { KyconnectError, UnexpectedError, UsageError } from '../../errors.js'
import { oneLine } from '../../redaction.js'
import type { Context } from '../context.js'
import { exitCodeOf } from '../exit-codes.js'
import { styleFor } from './style.js'

/**
 * Shows an error, the last thing on stderr: for a person, or as one line of JSON. The arguments tell which, also where they
 * could not be parsed.
 * @returns the exit code
 */
export async function reportError(error: unknown, args: readonly string[], context: Context): Promise<number> {
  const flags = args.slice(0, args.includes('--') ? args.indexOf('--') : args.length)
  const [json, verbose] = [flags.includes('--json'), flags.includes('--verbose')]
  const { stderr, runtime, kyconnect } = context
  const known =
    error instanceof KyconnectError
      ? error
      : new UnexpectedError(describe(error), {
          cause: error,
          hints: ['run it again with --verbose, and report what it says'],
        })
  const exitCode = exitCodeOf(known.code)
  const clean = (text: string): string => kyconnect.showable(text)
  if (json) {
    const about = {
      ...(known.reason === undefined ? {} : { reason: known.reason }),
      ...(known.target === undefined ? {} : { target: known.target }),
      ...(known.details === undefined ? {} : { details: known.details }),
    }
    const report = { error: { code: known.code, message: known.message, hints: known.hints, exitCode, ...about } }
    await stderr.write(`${kyconnect.redactJson(report)}\n`)
    return exitCode
  }
  const style = styleFor(stderr, runtime.environment)
  const lines = [`${style.red('error:')} ${oneLine(clean(known.message))}`]
  lines.push(...known.hints.map((hint) => `  ${style.dim('→')} ${oneLine(clean(hint))}`))
  if (verbose) lines.push(...stacks(known).map((stack) => style.dim(clean(stack))))
  await stderr.write(`${lines.join('\n')}\n`)
  return exitCode
}

/** The stack of an error and of what caused it. */
function stacks(error: Error): string[] {
  const own = error.stack ?? error.message
  return error.cause instanceof Error ? [own, ...stacks(error.cause).map((stack) => `caused by ${stack}`)] : [own]
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What commander says of a command line, as our error. */
export function usageError(message: string, args: readonly string[], commandNames: readonly string[]): UsageError {
  const command = args.find((arg) => !arg.startsWith('-'))
  const known = command !== undefined && commandNames.includes(command)
  return new UsageError(message.replace(/^error: /, ''), {
    hints: [`see kyconnect ${known ? `${command} ` : ''}--help`],
  })
}
