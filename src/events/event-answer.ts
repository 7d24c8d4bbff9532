import { AnswerMalformedError, ClientCertificateRefusedError, type KyconnectError } from '../errors.js'
import { objects, parseJsonObject, text } from '../json.js'
import { refusalError } from '../transport/refusal.js'

/** What an answer of the Event service, or of the gateway in front of it, means for an event (docs/contract.md §7 and §10). */
export type Answered =
  | { readonly kind: 'published' }
  /** Accepted, but nothing in the cluster subscribes to its type. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'rejected'; readonly reason: string; readonly field: string | undefined }
  /** The service may answer differently later. `mayBeProcessed`: it may have published the event nevertheless. */
  | { readonly kind: 'retry'; readonly error: KyconnectError; readonly mayBeProcessed: boolean }
  /** Every event would get this answer. */
  | { readonly kind: 'fatal'; readonly error: KyconnectError }
  /** The answer belongs to another event. */
  | { readonly kind: 'misplaced'; readonly error: KyconnectError }

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: Buffer
}

const what = 'the event'
const published: Answered = { kind: 'published' }

/**
 * @param id of the event that was sent
 * @param url that it was sent to
 */
export function readEventAnswer(answer: Answer, id: string, url: URL): Answered {
  const { status, contentType } = answer
  if (status >= 200 && status < 300) return readAcceptance(answer.body, id, url)
  const body = answer.body.toString('utf8')
  const error = refusalError({ status, contentType, body, url }, what)
  if (status >= 500) return { kind: 'retry', error, mayBeProcessed: status !== 503 }
  if (status === 408 || status === 429) return { kind: 'retry', error, mayBeProcessed: false }
  const refused = parseJsonObject(body)
  // The service's own answers have a type (docs/contract.md §10); the gateway's pages have none.
  if ((status === 400 || status === 413) && refused !== undefined && text(refused, 'type') !== undefined)
    return { kind: 'rejected', ...readRefusal(refused, status) }
  if (status === 413) return { kind: 'rejected', reason: 'the gateway takes no event of this size', field: undefined }
  if (status === 403) return { kind: 'fatal', error: forbidden(error) }
  return { kind: 'fatal', error }
}

function readAcceptance(body: Buffer, id: string, url: URL): Answered {
  // The usual answer, without reading all of it as JSON: it names the event, and says that it was published.
  const usual = `{"event-id":"${id}","status":"published"`
  if (body.toString('latin1', 0, usual.length) === usual) return published
  // Releases from 1.9 on may answer without a body.
  if (body.length === 0) return published
  const answer = parseJsonObject(body.toString('utf8'))
  if (answer === undefined) {
    // A page of a proxy, for instance, says nothing about the event.
    const error = new AnswerMalformedError(`${url.host} accepted ${what}, but its answer is not a JSON object`)
    return { kind: 'retry', error, mayBeProcessed: true }
  }
  const answered = text(answer, 'event-id')
  if (answered !== undefined && answered.toLowerCase() !== id.toLowerCase()) {
    const error = new AnswerMalformedError(`${url.host} answered with the id of another event`, {
      details: { sent: id, answered: answered.slice(0, 60) },
      hints: ['check the URL, and what runs in front of the service'],
    })
    return { kind: 'misplaced', error }
  }
  return text(answer, 'status') === 'ignored' ? { kind: 'ignored' } : published
}

function readRefusal(refused: object, status: number): { reason: string; field: string | undefined } {
  const [detail] = objects(refused, 'details')
  const field = detail && text(detail, 'field')
  const said = [text(detail ?? {}, 'message') ?? text(refused, 'message'), text(refused, 'moreInfo')]
    .filter((part) => part !== undefined)
    .join(': ')
  return { reason: `${field === undefined ? '' : `${field}: `}${said === '' ? `status ${status}` : said}`, field }
}

/** The certificate is valid, and for another App. */
function forbidden({ message, hints, details }: KyconnectError): ClientCertificateRefusedError {
  return new ClientCertificateRefusedError(message, {
    hints: [...hints],
    reason: 'OTHER_APP',
    ...(details === undefined ? {} : { details }),
  })
}
