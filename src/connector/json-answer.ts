import { AnswerMalformedError } from '../errors.js'
import type { Answer } from '../transport/client.js'

/**
 * The JSON object an answer holds.
 * @throws AnswerMalformedError when it holds none (an HTML page, for one)
 */
export function jsonObject(answer: Answer, what: string): object {
  let parsed: unknown
  try {
    parsed = JSON.parse(answer.body)
  } catch (cause) {
    const kind = /^\s*</.test(answer.body) ? 'an HTML page' : answer.body.trim() === '' ? 'an empty body' : 'no JSON'
    throw malformed(answer, what, `holds ${kind}`, cause)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw malformed(answer, what, 'is no JSON object')
  return parsed
}

/** A success that makes no sense: names the place and what is wrong with it. */
export function malformed(answer: Answer, what: string, wrong: string, cause?: unknown): AnswerMalformedError {
  return new AnswerMalformedError(`${answer.url.host} answered ${answer.status}, but ${what} ${wrong}`, {
    cause,
    details: {
      status: answer.status,
      host: answer.url.host,
      path: answer.url.pathname,
      contentType: answer.contentType,
    },
    hints: ['is this the URL of a Kyma Connector Service? Check it, and what stands in front of it'],
  })
}
