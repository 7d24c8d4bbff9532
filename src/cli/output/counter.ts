import type { Context } from '../context.js'

/** Shows how far a command is. */
export interface Counter {
  /** Writes other lines: above the counter, where there is a terminal. */
  interrupt(write: () => void): void
  stop(): void
}

/** What a counter shows, and where. */
export interface CounterOptions {
  readonly describe: () => string
  /** Draw on a terminal. */
  readonly draws: boolean
  /** Write a line now and then, where it does not draw. */
  readonly logs: boolean
}

const drawEveryMs = 100
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

export function startCounter(
  { describe, draws, logs }: CounterOptions,
  { stderr, runtime: { environment }, progressEveryMs }: Pick<Context, 'stderr' | 'runtime' | 'progressEveryMs'>,
): Counter {
  // A CI system may provide a terminal, and keeps everything that is drawn on it.
  const canDraw = stderr.isTerminal && environment['TERM'] !== 'dumb' && environment['CI'] === undefined
  const write = (text: string): void => {
    void stderr.write(text)
  }
  if (draws && canDraw) return drawnCounter(describe, write, stderr.columns)
  const timer = logs
    ? setInterval(() => {
        write(`${describe()}\n`)
      }, progressEveryMs)
    : undefined
  return {
    interrupt: (writeOthers) => {
      writeOthers()
    },
    stop: () => {
      clearInterval(timer)
    },
  }
}

const [hideCursor, showCursor, clearBelow] = ['\u001b[?25l', '\u001b[?25h', '\u001b[J']

/**
 * Draws one line again and again. The cursor is left at its beginning: when the window becomes narrower, a terminal wraps the line and
 * keeps the cursor there, so that clearing what is below the cursor clears all of it.
 */
function drawnCounter(
  describe: () => string,
  write: (text: string) => void,
  columns: () => number | undefined,
): Counter {
  let frame = 0
  const draw = (): void => {
    const text = `${frames[frame++ % frames.length] ?? ''} ${describe()}`
    write(`${hideCursor}\r${text.slice(0, (columns() ?? 80) - 1)}${clearBelow}\r`)
  }
  draw()
  const timer = setInterval(draw, drawEveryMs)
  return {
    interrupt: (writeOthers) => {
      write(`\r${clearBelow}`)
      writeOthers()
      draw()
    },
    stop: () => {
      clearInterval(timer)
      write(`\r${clearBelow}${showCursor}`)
    },
  }
}
