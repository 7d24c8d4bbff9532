import { type DistinguishedName, parseAnnouncedSubject } from '../pki/distinguished-name.js'
import type { Answer } from '../transport/answer.js'
import type { HttpClient } from '../transport/client.js'
import { refusalError } from '../transport/refusal.js'
import { type EndpointUrls, parseEndpointUrls } from './endpoint-urls.js'
import { member, text, valueOf } from '../json.js'
import { jsonObject, malformed } from './json-answer.js'

/** What the gateway answers to a client certificate (docs/contract.md §6). It is the authority for the URLs. */
export interface ManagementInfo {
  /** Absent for a runtime, which is not an App. */
  readonly application: string | undefined
  /** Without infoUrl: the answer does not contain its own URL. */
  readonly urls: EndpointUrls
  /** What a CSR must contain now; early releases do not say. */
  readonly subject: DistinguishedName | undefined
  /** As announced; early releases do not say. */
  readonly keyAlgorithm: string | undefined
}

const what = 'the management info'

/** @throws ClientCertificateRefusedError, AnswerMalformedError and whatever the transport throws */
export async function fetchManagementInfo(http: HttpClient, infoUrl: URL): Promise<ManagementInfo> {
  const answer = await http.send({ method: 'GET', url: infoUrl }, 'idempotent')
  if (answer.status !== 200) throw refusalError(answer, what)
  return parseManagementInfo(answer)
}

/** Parses the answer. */
export function parseManagementInfo(answer: Answer): ManagementInfo {
  const body = jsonObject(answer, what)
  const urls = member(body, 'urls')
  if (urls !== valueOf(body, 'urls')) throw malformed(answer, what, 'lacks urls')
  const certificate = member(body, 'certificate')
  const subject = text(certificate, 'subject')
  return {
    application: text(member(body, 'clientIdentity'), 'application'),
    urls: parseEndpointUrls(urls),
    subject: subject === undefined ? undefined : parseAnnouncedSubject(subject),
    keyAlgorithm: text(certificate, 'key-algorithm'),
  }
}
