import type { Spinner } from 'yocto-spinner'
import type { Progress } from '../../pairing/progress.js'
import { oneLine } from '../../redaction.js'
import type { Context } from '../context.js'
import { styleFor } from './style.js'

/** What is shown of a flow while it goes, all of it on stderr. */
export interface Steps extends Progress {
  /** A line of --verbose, or undefined when nobody asked for it. */
  readonly trace: ((line: string) => void) | undefined
  /** The step under way did not settle. */
  fail(): void
}

interface StepsOptions {
  readonly json: boolean
  readonly verbose: boolean
}

/**
 * On a terminal a spinner and a tick per step, in a log one plain line each; with --json only warnings. Whatever is shown has
 * tokens taken out and control characters too: parts of it come from servers.
 */
export async function createSteps({ json, verbose }: StepsOptions, context: Context): Promise<Steps> {
  const { stderr, around, kyconnect } = context
  const style = styleFor(stderr, around.environment)
  // The spinner draws over the last line, which --verbose writes to as well.
  const animated = stderr.isTerminal && !json && !verbose
  const createSpinner = animated ? (await import('yocto-spinner')).default : undefined
  const clean = (text: string): string => oneLine(kyconnect.showable(text))
  const line = (text: string): void => {
    void stderr.write(`${text}\n`)
  }
  let spinner: Spinner | undefined
  let step: string | undefined

  const settle = (shown: string | undefined): void => {
    spinner?.stop()
    spinner = undefined
    step = undefined
    if (shown !== undefined) line(shown)
  }
  return {
    trace: verbose
      ? (text) => {
          line(style.dim(kyconnect.showable(text)))
        }
      : undefined,
    begin: (name) => {
      step = name
      spinner = createSpinner?.({ text: name, stream: stderr.stream() }).start()
    },
    done: (name, detail) => {
      const shown = animated
        ? `${style.green('✓')} ${name.padEnd(16)} ${style.dim(clean(detail))}`
        : `${name}: ${clean(detail)}`
      settle(json ? undefined : shown)
    },
    note: (text) => {
      if (json) return
      spinner?.clear()
      line(`${style.dim('note:')} ${clean(text)}`)
    },
    warn: (text) => {
      spinner?.clear()
      line(`${style.yellow('warning:')} ${clean(text)}`)
    },
    fail: () => {
      settle(animated && step !== undefined ? `${style.red('✗')} ${step}` : undefined)
    },
  }
}
