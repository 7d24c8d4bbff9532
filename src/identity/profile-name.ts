import { ProfileNameError } from '../errors.js'

/** A name that is safe as a folder below the home: it cannot leave it, hide, or be taken for an option. */
export function isProfileName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)
}

/** @throws ProfileNameError */
export function checkProfileName(name: string): string {
  if (isProfileName(name)) return name
  throw new ProfileNameError(`${JSON.stringify(name.slice(0, 100))} cannot be the name of a profile`, {
    hints: [
      'use letters, digits, ".", "_" and "-" (at most 100, not beginning with "." or "-"), e.g. --profile shop-staging',
    ],
  })
}

/** A profile name near to the text, for a text that may be anything. */
export function toProfileName(text: string): string {
  const name = text
    .slice(0, 80)
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[.-]+/, '')
  return isProfileName(name) ? name : 'pairing'
}
