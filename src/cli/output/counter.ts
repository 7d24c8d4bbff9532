import type { Context } from '../context.js'

/** Shows how far a command is, on a terminal. */
export interface Counter {
  show(text: string): void
  stop(): void
}

/** @param silent nothing is shown, because other lines are */
export async function createCounter(silent: boolean, { stderr }: Context): Promise<Counter> {
  if (silent || !stderr.isTerminal) return { show: () => undefined, stop: () => undefined }
  const { default: createSpinner } = await import('yocto-spinner')
  // Its own handling of Ctrl-C would end the program at once, without what a command does at its end.
  const spinner = createSpinner({ text: 'Working', stream: stderr.stream(), handleSignals: false }).start()
  return {
    show: (text) => {
      spinner.text = text
    },
    stop: () => {
      spinner.stop()
    },
  }
}
