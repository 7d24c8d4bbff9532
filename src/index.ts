/**
 * What other programs may import: the same way into the house that the commands take.
 *
 * @example
 * const kyconnect = createKyconnect()
 * const identity = await kyconnect.identity('shop')
 * https.request(url, { key: identity.material.key, cert: identity.material.chain })
 */
import { Kyconnect } from './kyconnect.js'
import { readRuntime } from './runtime.js'

export * from './errors.js'
export type { CallableEndpoint } from './identity/endpoint-call.js'
export type { Identity, Material, Metadata, Pending, StoredRoute, Urls } from './identity/identity.js'
export type { RouteChoice } from './identity/route.js'
export type { IdentityStore, Lock } from './identity/store.js'
export { Kyconnect, type RunOptions } from './kyconnect.js'
export type { PairPolicy, PairRequest } from './pairing/pair.js'
export type { Emit, ProgressEvent } from './progress.js'
export type { Runtime } from './runtime.js'

/** The house with what this process gives. @param signal ends what is under way, with its reason */
export function createKyconnect(signal: AbortSignal = new AbortController().signal): Kyconnect {
  return new Kyconnect(readRuntime(signal))
}
