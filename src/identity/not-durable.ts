import type { Emit } from '../progress.js'
import type { Written } from './store.js'

/** Warns of what failed after a change's point of no return. */
export function warnIfNotDurable({ problem }: Pick<Written<unknown>, 'problem'>, emit: Emit): void {
  if (problem !== undefined) emit({ type: 'warning', warning: 'not-durable', cause: problem.message })
}
