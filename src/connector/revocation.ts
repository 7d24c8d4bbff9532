import { parseJsonObject, text } from '../json.js'
import type { Answer } from '../transport/answer.js'
import type { HttpClient } from '../transport/client.js'
import { refusalError } from '../transport/refusal.js'

/**
 * Asks the Connector to revoke the client certificate of the connection. It works until it expires: only its renewal is refused from now
 * on (docs/contract.md §8). Revoking twice succeeds twice, so the request may be sent again.
 * @throws ClientCertificateRefusedError, RequestRefusedError and what the transport throws
 */
export async function requestRevocation(http: HttpClient, url: URL): Promise<void> {
  // The body is empty, whatever its content type says.
  const answer = await http.send({ method: 'POST', url }, 'idempotent')
  if (answer.status !== 201) throw refusalError(answer, 'the revocation')
}

/** Whether a renewal was refused because the certificate has been revoked: a 403 that an ingress did not write. */
export function isRevokedRefusal({ status, body }: Pick<Answer, 'status' | 'body'>): boolean {
  const parsed = status === 403 ? parseJsonObject(body) : undefined
  return parsed !== undefined && /\brevoked\b/i.test(text(parsed, 'error') ?? '')
}
