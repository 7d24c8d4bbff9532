import { ConfirmationNeededError, KyconnectError, NoIdentityError, ProfileExistsError } from '../errors.js'
import type { Identity, Pending, StoredRoute } from '../identity/identity.js'
import { nothingStored } from '../identity/route.js'
import type { IdentityStore } from '../identity/store.js'
import type { PairDeps, PairPolicy } from './policy.js'

/** Checks that a pairing may use a profile. @throws ProfileExistsError, and the error of a stored identity that cannot be used */
export async function checkProfileFree(profile: string, policy: PairPolicy, store: IdentityStore): Promise<void> {
  if (policy.replace) return
  if (await store.has(profile)) {
    throw new ProfileExistsError(`an identity is already stored under the profile "${profile}"`, {
      hints: [
        'store the new one beside it with --profile <other-name>',
        'or replace it with --force: "kyconnect rollback" restores it',
      ],
      details: { profile },
    })
  }
  // A restored copy without a pointer is not an identity yet, and must not be overwritten.
  await store.load(profile).catch((error: unknown) => {
    if (!(error instanceof NoIdentityError)) throw error
  })
}

/**
 * The route of the identity to be replaced: the new one is reached in the same way if it is from the same cluster.
 * @throws ConfirmationNeededError when the token URL is from another domain
 */
export async function routeOfReplaced(
  profile: string,
  tokenUrl: URL,
  policy: PairPolicy,
  { store }: PairDeps,
): Promise<StoredRoute> {
  const present = await replacedIdentity(profile, policy, store)
  if (present === undefined) return nothingStored
  await checkDomain(present, 'connectorHost', tokenUrl.hostname, policy, [])
  return present.metadata.connectorHost === tokenUrl.hostname ? present.metadata.route : nothingStored
}

/**
 * Compares the new identity, as far as it is known before its CSR is sent, with the one that it would replace.
 * @param resume the command that continues after a yes
 * @throws ConfirmationNeededError
 */
export async function checkReplaced(
  pending: Pending,
  policy: PairPolicy,
  { store, emit }: PairDeps,
  resume: string,
): Promise<void> {
  const { profile, gatewayHost, app, commonName } = pending
  const present = await replacedIdentity(profile, policy, store)
  if (present === undefined) return
  if (gatewayHost !== null) await checkDomain(present, 'gatewayHost', gatewayHost, policy, [`${resume} --force --yes`])
  if (present.metadata.commonName !== commonName)
    emit({ type: 'warning', warning: 'other-app-replaced', profile, from: present.metadata.app, to: app })
}

/** The identity that would be replaced; undefined if it cannot be read, because --force also replaces a damaged one. */
async function replacedIdentity(
  profile: string,
  policy: PairPolicy,
  store: IdentityStore,
): Promise<Identity | undefined> {
  if (!policy.replace || !(await store.has(profile))) return undefined
  return store.load(profile).catch((error: unknown) => {
    if (error instanceof KyconnectError) return undefined
    throw error
  })
}

async function checkDomain(
  present: Identity,
  kind: 'connectorHost' | 'gatewayHost',
  host: string,
  policy: PairPolicy,
  commands: readonly string[],
): Promise<void> {
  const { profile, [kind]: stored } = present.metadata
  if (stored === null || stored === host || (await policy.otherDomain(stored, host))) return
  throw new ConfirmationNeededError(
    `the identity "${profile}" is from ${stored}, and the new one would be from ${host}: another domain`,
    {
      hints: ['to replace it with one from another domain, add --yes', ...commands.map((command) => `run: ${command}`)],
    },
  )
}
