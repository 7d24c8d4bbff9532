import { KyconnectError, ServicesDifferError, UnexpectedError } from '../../errors.js'
import { oneLine } from '../../redaction.js'
import type { Context } from '../context.js'
import { exitCodeOf } from '../exit-codes.js'
import { styleFor } from './style.js'
import { wrapWords } from './word-wrap.js'

/**
 * Writes an error as the last thing on stderr: lines for a person, or one line of JSON. The format is read from the
 * arguments themselves, because the error may be that they cannot be parsed.
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
          hints: ['run the command again with --verbose, and report its output'],
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
  const wrap = (text: string): string => wrapWords(text, stderr.columns())
  const lines: string[] = []
  // The result of a comparison, which the plan has shown.
  if (!(known instanceof ServicesDifferError))
    lines.push(wrap(`error: ${oneLine(clean(known.message))}`).replace('error:', style.red('error:')))
  for (const hint of known.hints) {
    lines.push(wrap(`  → ${oneLine(clean(hint))}`).replace('→', style.dim('→')))
  }
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
