import type { Context } from '../context.js'
import { loadSpinner } from './spinner.js'

/** Shows how far a command is, on a terminal. */
export interface Counter {
  show(text: string): void
  stop(): void
}

/** @param silent nothing is shown, because other lines are */
export async function createCounter(silent: boolean, { stderr }: Context): Promise<Counter> {
  if (silent || !stderr.isTerminal) return { show: () => undefined, stop: () => undefined }
  const spinner = (await loadSpinner(stderr))('Working')
  return {
    show: (text) => {
      spinner.text = text
    },
    stop: () => {
      spinner.stop()
    },
  }
}
