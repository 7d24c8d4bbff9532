import { AnswerMalformedError, RequestRefusedError } from '../errors.js'
import type { Gateway } from '../gateway/gateway.js'
import { objects, parseJsonObject, text } from '../json.js'
import { refusalError } from '../transport/refusal.js'

/** An event type that something in the cluster subscribes to. */
export interface SubscribedType {
  readonly type: string
  readonly version: string
}

const maxBytes = 4 * 1024 * 1024

/**
 * The event types that something in the cluster subscribes to (docs/contract.md §10).
 * @throws RequestRefusedError where the release has no such endpoint, what {@link refusalError} says of another refusal,
 *   AnswerMalformedError, and what the gateway throws
 */
export async function readSubscribed(gateway: Gateway): Promise<SubscribedType[]> {
  const answer = await gateway.fetch('events', '/subscribed')
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    size += chunk.length
    if (size > maxBytes)
      throw new AnswerMalformedError(`the list of subscriptions from ${answer.url.host} is larger than 4 MiB`)
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks).toString('utf8')
  // Only the event service itself answers 405; a 404 means that the gateway does not know the App (docs/contract.md §7).
  if (answer.status === 405) {
    throw new RequestRefusedError(
      `this release of Kyma does not list subscriptions: ${answer.url.host} answered ${answer.status}`,
      {
        details: { status: answer.status, host: answer.url.host, path: answer.url.pathname },
        hints: ['releases from 1.1 on do; publish an event to see whether it is "ignored"'],
      },
    )
  }
  if (answer.status >= 300) throw refusalError({ ...answer, body }, 'the list of subscriptions')
  const list = parseJsonObject(body)
  if (list === undefined)
    throw new AnswerMalformedError(`the list of subscriptions from ${answer.url.host} is not a JSON object`)
  // `eventsInfo` may be null.
  return objects(list, 'eventsInfo').flatMap((item) => {
    const [type, version] = [text(item, 'name'), text(item, 'version')]
    return type === undefined ? [] : [{ type, version: version ?? '' }]
  })
}
