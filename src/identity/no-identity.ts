import { NoIdentityError } from '../errors.js'
import type { IdentityStore } from './store.js'

/** The number of stored profiles that a hint names. */
const maxNames = 10

/** The error for a store without any identity. */
export function noIdentityIn(place: IdentityStore['place']): NoIdentityError {
  return new NoIdentityError(nothingIn(place), {
    hints: [
      'get a token URL from the administrator of the cluster, then run: kyconnect pair --url -',
      'to try it without a cluster, run: kyconnect sandbox',
      otherHome,
    ],
  })
}

/** One sentence without a full stop, for messages and logs. */
export function nothingIn(place: IdentityStore['place']): string {
  return `no identity is stored in ${place}`
}

const otherHome = 'if you paired as another user or with another KYCONNECT_HOME, use the same here'

/**
 * The error for a profile without an identity.
 * @param store what is stored instead, for the hints: the name may be mistyped, or the folder the wrong one
 */
export function noIdentityOf(
  profile: string,
  store?: { readonly place: string; readonly profiles: readonly string[] },
): NoIdentityError {
  return new NoIdentityError(`no identity is stored under the profile "${profile}"`, {
    hints: [
      ...(store === undefined ? [] : [storedHint(store)]),
      `get a token URL from the administrator of the cluster, then run: kyconnect pair --profile ${profile} --url -`,
    ],
    details: { profile },
  })
}

function storedHint({ place, profiles }: { readonly place: string; readonly profiles: readonly string[] }): string {
  if (profiles.length === 0) return `${nothingIn(place)}: ${otherHome}`
  const more = profiles.length - maxNames
  const names = `${profiles.slice(0, maxNames).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  return `name one of the stored profiles: ${names}`
}
