import { Chalk, type ChalkInstance } from 'chalk'
import type { Output } from './output.js'

type Environment = Readonly<Record<string, string | undefined>>

/** Colours for a stream: only on a terminal, unless NO_COLOR or FORCE_COLOR say otherwise. */
export function styleFor(output: Output, environment: Environment): ChalkInstance {
  return new Chalk({ level: wantsColour(output, environment) ? 1 : 0 })
}

function wantsColour({ isTerminal }: Output, environment: Environment): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false
  const forced = environment['FORCE_COLOR']
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false'
  return isTerminal && environment['TERM'] !== 'dumb'
}
