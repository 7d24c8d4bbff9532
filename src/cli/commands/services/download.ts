import { AnswerMalformedError, errorCodeOf, NetworkError, RequestRefusedError, TimeoutError } from '../../../errors.js'
import { maxSpecificationBytes } from '../../../registry/files/specification.js'

/** The hint for a document that is larger than what is read. */
export const tooLargeHint =
  'the gateway takes at most 5 MiB: shorten the document, or let the Registry fetch it with api.specificationUrl'

/**
 * Downloads a public document with Node's own fetch: no identity, certificate or credential is sent.
 * @throws NetworkError, TimeoutError, RequestRefusedError, AnswerMalformedError, and the reason of the aborted signal
 */
export async function download(url: URL, limitMs: number, signal: AbortSignal): Promise<string> {
  const timeout = AbortSignal.timeout(limitMs)
  const hints = ['download it with another program, and give the file: kyconnect services init --from <file>']
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, timeout]) })
    if (!response.ok)
      throw new RequestRefusedError(`${url.host} answered ${response.status} for ${url.pathname}`, { hints })
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body ?? []) {
      if (!(chunk instanceof Uint8Array)) continue
      size += chunk.length
      if (size > maxSpecificationBytes)
        throw new AnswerMalformedError(`the document from ${url.host} is larger than 8 MiB`, { hints: [tooLargeHint] })
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof RequestRefusedError || error instanceof AnswerMalformedError) throw error
    if (timeout.aborted)
      throw new TimeoutError(`${url.host} timed out after ${limitMs / 1000} s`, { cause: error, hints })
    const cause = error instanceof Error ? error.cause : undefined
    const reason = errorCodeOf(cause) || 'the connection failed'
    throw new NetworkError(`the document cannot be downloaded from ${url.host}: ${reason}`, { cause: error, hints })
  }
}
