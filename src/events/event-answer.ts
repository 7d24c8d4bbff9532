import { AnswerMalformedError, ClientCertificateRefusedError, type KyconnectError } from '../errors.js'
import { objects, parseJsonObject, text } from '../json.js'
import { refusalError } from '../transport/refusal.js'

/** What an answer of the event service, or of the gateway in front of it, means for an event (docs/contract.md §7 and §10). */
export type Answered =
  | { readonly kind: 'published' }
  /** Accepted, but nothing in the cluster subscribes to its type. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'rejected'; readonly reason: string; readonly field: string | undefined }
  /** The service may answer differently later. `mayBeProcessed`: it may have published the event all the same. */
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

const requestName = 'the event'
/** NGINX signs the pages that it generates itself. */
const nginxSignature = '<center>nginx'
/** The only page with status 400 that is not about the client certificate (docs/contract.md §7). */
const plainHttpPage = 'The plain HTTP request was sent to HTTPS port'
const published: Answered = { kind: 'published' }

/**
 * @param id of the event that was sent
 * @param url that it was sent to
 */
export function readEventAnswer(answer: Answer, id: string, url: URL): Answered {
  const { status, contentType } = answer
  if (status >= 200 && status < 300) return readAcceptance(answer, id, url)
  const body = answer.body.toString('utf8')
  const error = refusalError({ status, contentType, body, url }, requestName)
  const isPage = contentType.includes('html')
  const refused = parseJsonObject(body)
  // The service's own answers have a type (docs/contract.md §10); those of the gateway have none.
  const isOfService = refused !== undefined && text(refused, 'type') !== undefined
  if (status >= 500) {
    // NGINX generates a 503 only without having called the service. Envoy also does when a connection broke after the service had received
    // the event.
    const isUnprocessed = status === 503 && (isOfService || (isPage && body.includes(nginxSignature)))
    return { kind: 'retry', error, mayBeProcessed: !isUnprocessed }
  }
  if (status === 408 || status === 429) return { kind: 'retry', error, mayBeProcessed: false }
  if ((status === 400 || status === 413) && isOfService) return { kind: 'rejected', ...readRefusal(refused, status) }
  if (status === 413)
    return { kind: 'rejected', reason: 'the gateway does not accept an event of this size', field: undefined }
  if (status === 403) return { kind: 'fatal', error: certificateRefused(error, 'OTHER_APP') }
  // The service answers in JSON. Over TLS, the ingress answers 400 with a page only to a certificate that it does not accept.
  if (status === 400 && isPage && !body.includes(plainHttpPage))
    return { kind: 'fatal', error: certificateRefused(error) }
  return { kind: 'fatal', error }
}

function readAcceptance({ status, body }: Answer, id: string, url: URL): Answered {
  // The usual answer names the event, and says that it was published. It is recognised without parsing all of it as JSON.
  const usual = `{"event-id":"${id}","status":"published"`
  if (body.toString('latin1', 0, usual.length) === usual) return published
  // The two statuses with which services of later releases answer without a body.
  if (body.length === 0 && (status === 202 || status === 204)) return published
  const answer = parseJsonObject(body.toString('utf8'))
  if (answer === undefined) {
    // A page of a proxy, for instance, says nothing about the event.
    const problem = body.length === 0 ? 'is empty' : 'is not a JSON object'
    const error = new AnswerMalformedError(`${url.host} accepted ${requestName}, but its answer ${problem}`, {
      details: { status },
      hints: ['check the URL, and what runs in front of the service'],
    })
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

/** The same error as one about the certificate. @param reason `OTHER_APP`: the certificate is valid, and for another App */
function certificateRefused(error: KyconnectError, reason?: 'OTHER_APP'): ClientCertificateRefusedError {
  if (error instanceof ClientCertificateRefusedError) return error
  const { message, hints, details } = error
  return new ClientCertificateRefusedError(message, {
    hints: reason === undefined ? ['check the client certificate: kyconnect info --offline', ...hints] : [...hints],
    ...(reason === undefined ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
  })
}
