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
  const startAt = checkpoint?.found.offset ?? 0
  try {
    const reader = await LineReader.open(input, { startAt, linesBefore: 0, maxLineBytes: maxEventBytes, signal })
    checkpoint?.checkTail(reader.tailAtStart)
    return reader
  } catch (error) {
    if (error instanceof InputEndedEarly && checkpoint !== undefined) throw checkpoint.shorterInputError(error.length)
    throw error
  }
}
