import { UsageError } from '../errors.js'
import type { DesiredService } from './desired-service.js'
import { serviceFilesError } from './files/problem.js'
import { defaultSet, isSetName } from './label.js'

/**
 * The set to work on: the given one, else the one that the files name, else `default`.
 * @param given the value of --set
 * @throws UsageError when it is not a set's name
 * @throws ServiceFilesError when the files name another set than the given one: with --prune, the wrong services would be deleted
 */
export function chooseSet(given: string | undefined, services: readonly DesiredService[]): string {
  const set = checkSetName(given ?? services.find((service) => service.set !== undefined)?.set ?? defaultSet)
  const others = services.filter((service) => service.set !== undefined && service.set !== set)
  if (others.length === 0) return set
  throw serviceFilesError(
    others.map((service) => ({
      ...service.placeOf(['set']),
      message: `the file names the set "${service.set ?? ''}", and --set names "${set}"`,
      hint: 'leave out --set, or correct one of the two',
    })),
  )
}

/** @throws UsageError when it is not a set's name */
export function checkSetName(set: string): string {
  if (isSetName(set)) return set
  throw new UsageError(`"${set}" is not the name of a set`, {
    hints: ['use letters, digits, ".", "_" and "-", at most 63 of them, with a letter or digit at both ends'],
  })
}
