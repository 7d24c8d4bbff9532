import { text } from '../json.js'
import { oneLine } from '../redaction.js'

const maxLength = 400

/** The message of a Kubernetes `Status` object, on one line; empty when there is none. */
export function statusMessage(body: object): string {
  return oneLine(text(body, 'message') ?? '').slice(0, maxLength)
}
