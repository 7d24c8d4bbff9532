import type { Checkpoint } from './checkpoint.js'
import { maxEventBytes } from './event-encoder.js'
import type { EventInput } from './event-input.js'
import { InputEndedEarly } from './input-ended-early.js'
import { LineReader } from './line-reader.js'

/**
 * Reads the lines of an input from where its checkpoint ends. An input that has grown since is fine.
 * @throws FilesError if the checkpoint belongs to another input; what reading throws; the reason of the signal
 */
export async function openLines(
  input: EventInput,
  checkpoint: Checkpoint | undefined,
  signal: AbortSignal,
): Promise<LineReader> {
  const { offset: startAt, lines: linesBefore } = checkpoint?.found ?? { offset: 0, lines: 0 }
  const isStream = input.size === undefined
  try {
    const reader = await LineReader.open(input, { startAt, linesBefore, maxLineBytes: maxEventBytes, signal })
    checkpoint?.checkTail(reader.tailAtStart, isStream)
    return reader
  } catch (error) {
    if (error instanceof InputEndedEarly && checkpoint !== undefined)
      throw checkpoint.shorterInputError(error.length, isStream)
    throw error
  }
}
