import type { Spinner } from 'yocto-spinner'
import type { Emit } from '../../progress.js'
import { oneLine } from '../../redaction.js'
import type { Context } from '../context.js'
import { describeNotice, describeStep, describeWarning, stepNames } from './progress-text.js'
import { loadSpinner } from './spinner.js'
import { styleFor } from './style.js'
import { wrapWords } from './word-wrap.js'

/** Shows the progress of a flow on stderr. */
export interface ProgressRenderer {
  readonly emit: Emit
  /** Takes a line of --verbose; undefined without that flag. */
  readonly trace: ((line: string) => void) | undefined
  /** Ends the display of a step that did not finish. */
  fail(): void
}

interface RendererOptions {
  readonly json: boolean
  readonly verbose: boolean
}

/**
 * The renderer for this run: JSON lines with --json, a spinner on a terminal, plain lines elsewhere. Everything it shows is redacted
 * and free of control characters, because parts of it come from servers.
 */
export async function createProgressRenderer(options: RendererOptions, context: Context): Promise<ProgressRenderer> {
  const { stderr, runtime, kyconnect } = context
  const style = styleFor(stderr, runtime.environment)
  const write = (line: string): void => {
    void stderr.write(`${line}\n`)
  }
  const trace = options.verbose
    ? (line: string): void => {
        write(style.dim(kyconnect.showable(line)))
      }
    : undefined
  if (options.json) return { ...jsonRenderer(write, context), trace }
  // A spinner would draw over the lines of --verbose.
  const animated = stderr.isTerminal && !options.verbose
  return { ...(animated ? await terminalRenderer(write, context) : logRenderer(write, context)), trace }
}

type Renderer = Omit<ProgressRenderer, 'trace'>

/** With --json only warnings are shown, each as one line of JSON. */
function jsonRenderer(write: (line: string) => void, { kyconnect }: Context): Renderer {
  return {
    emit: (event) => {
      if (event.type !== 'warning') return
      const { type, warning: code, ...fields } = event
      write(kyconnect.redactJson({ [type]: { code, message: describeWarning(event), ...fields } }))
    },
    fail: () => undefined,
  }
}

function logRenderer(write: (line: string) => void, context: Context): Renderer {
  const { stderr, runtime, kyconnect } = context
  const style = styleFor(stderr, runtime.environment)
  const line = (text: string): string => wrapWords(oneLine(kyconnect.showable(text)), stderr.columns())
  return {
    emit: (event) => {
      switch (event.type) {
        case 'started':
          break
        case 'finished':
          write(line(`${stepNames[event.step]}: ${describeStep(event, runtime.now())}`))
          break
        case 'notice':
          write(line(`note: ${describeNotice(event)}`).replace('note:', style.dim('note:')))
          break
        case 'warning':
          write(line(`warning: ${describeWarning(event)}`).replace('warning:', style.yellow('warning:')))
          break
      }
    },
    fail: () => undefined,
  }
}

/** A spinner while a step runs, and a tick for each that has finished. */
async function terminalRenderer(write: (line: string) => void, context: Context): Promise<Renderer> {
  const { stderr, runtime, kyconnect } = context
  const style = styleFor(stderr, runtime.environment)
  const startSpinner = await loadSpinner(stderr)
  const log = logRenderer(write, context)
  let spinner: Spinner | undefined
  let step: string | undefined
  const finishedLine = (name: string, result: string): string => {
    const line = wrapWords(`✓ ${name} ${result}`, stderr.columns())
    return `${style.green('✓')}${line.slice(1, name.length + 2)}${style.dim(line.slice(name.length + 2))}`
  }
  const stop = (): void => {
    spinner?.stop()
    spinner = undefined
    step = undefined
  }
  return {
    emit: (event) => {
      switch (event.type) {
        case 'started':
          // The step before may have failed, and the flow gone on without it.
          stop()
          step = stepNames[event.step]
          spinner = startSpinner(step)
          break
        case 'finished':
          stop()
          write(
            finishedLine(
              stepNames[event.step].padEnd(16),
              oneLine(kyconnect.showable(describeStep(event, runtime.now()))),
            ),
          )
          break
        case 'notice':
        case 'warning':
          spinner?.clear()
          log.emit(event)
          break
      }
    },
    fail: () => {
      const unfinished = step
      stop()
      if (unfinished !== undefined) write(`${style.red('✗')} ${unfinished}`)
    },
  }
}
