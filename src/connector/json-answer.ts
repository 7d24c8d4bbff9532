import { AnswerMalformedError } from '../errors.js'
import { parseJsonObject } from '../json.js'
import type { Answer } from '../transport/answer.js'

/**
 * The JSON object in an answer.
 * @throws AnswerMalformedError when it is something else, such as an HTML page
 */
export function jsonObject(answer: Answer, what: string): object {
  const parsed = parseJsonObject(answer.body)
  if (parsed !== undefined) return parsed
  const beginning = answer.body.slice(0, 1000).trim()
  if (beginning === '') throw malformed(answer, what, 'is empty')
  throw malformed(answer, what, beginning.startsWith('<') ? 'is an HTML page' : 'is not a JSON object')
}

/** The error for a success that cannot be used: it names the place and the problem. */
export function malformed(answer: Answer, what: string, problem: string, cause?: unknown): AnswerMalformedError {
  return new AnswerMalformedError(`${answer.url.host} answered ${answer.status}, but ${what} ${problem}`, {
    cause,
    details: {
      status: answer.status,
      host: answer.url.host,
      path: answer.url.pathname,
      contentType: answer.contentType,
    },
    hints: ['check that this is the URL of a Kyma Connector Service, and what runs in front of it'],
  })
}
