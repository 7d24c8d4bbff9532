import { oneLine } from '../redaction.js'

const maxCharacters = 300

/** The reason of a refusal for a message, on one line. The service's text may be long; the file of rejects has all of it. */
export function shortReason(reason: string): string {
  const line = oneLine(reason)
  return line.length > maxCharacters ? `${line.slice(0, maxCharacters)}…` : line
}
