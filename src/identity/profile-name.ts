import { ProfileNameError } from '../errors.js'

/** Whether a name is safe for a folder below the home: it cannot lead outside, is not hidden, and does not look like an option. */
export function isProfileName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)
}

/** @throws ProfileNameError */
export function checkProfileName(name: string): string {
  if (isProfileName(name)) return name
  throw new ProfileNameError(`${JSON.stringify(name.slice(0, 100))} is not a valid profile name`, {
    hints: [
      'use letters, digits, ".", "_" and "-" (at most 100, not beginning with "." or "-"), e.g. --profile shop-staging',
    ],
  })
}

/** Turns any text into a valid profile name that resembles it. */
export function toProfileName(text: string): string {
  const name = text
    .slice(0, 80)
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[.-]+/, '')
  return isProfileName(name) ? name : 'pairing'
}
