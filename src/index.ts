/**
 * What other programs may import. The commands use the same interface.
 *
 * @example
 * import { openKyconnect } from 'kyconnect'
 *
 * const kyconnect = await openKyconnect()
 * const gateway = kyconnect.openGateway(await kyconnect.identity('shop'))
 * try {
 *   const answer = await gateway.fetch('metadata')
 *   for await (const chunk of answer.body) process.stdout.write(chunk)
 * } finally {
 *   await gateway.close()
 * }
 */
import { Kyconnect } from './kyconnect.js'
import { readRuntime } from './runtime.js'

export * from './errors.js'
export type { Endpoint } from './gateway/endpoint-url.js'
export type { Gateway, RequestInit, StreamedAnswer } from './gateway/gateway.js'
export type { Identity, Material, Metadata, Pending, StoredRoute, Urls } from './identity/identity.js'
export type { RouteChoice } from './identity/route.js'
export type { IdentityStore, ProfileChange, ProfileSummary, Written } from './identity/store.js'
export type { Kyconnect, RunOptions } from './kyconnect.js'
export type { KeySource } from './pairing/key-source.js'
export type { PairRequest } from './pairing/pair.js'
export type { PairPolicy } from './pairing/policy.js'
export type { Emit, ProgressEvent } from './progress.js'
export type { Revocation } from './renewal/revoke.js'
export type { Runtime } from './runtime.js'

/** Opens kyconnect in this process. @param signal when aborted, ends all running work with its reason */
export function openKyconnect(signal: AbortSignal = new AbortController().signal): Promise<Kyconnect> {
  return Kyconnect.open(readRuntime(signal))
}
