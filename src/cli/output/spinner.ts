import type { Spinner } from 'yocto-spinner'
import type { Output } from './output.js'

/** Starts a spinner on a terminal. */
export async function loadSpinner({ stream }: Output): Promise<(text: string) => Spinner> {
  const { default: createSpinner } = await import('yocto-spinner')
  // Its own handling of Ctrl-C would end the program at once, without what a flow or a command does at its end.
  return (text) => createSpinner({ text, stream: stream(), handleSignals: false }).start()
}
