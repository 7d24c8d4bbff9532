import { UsageError } from '../errors.js'
import type { ListedService } from './listed-service.js'

/**
 * The service that a person names: by its id, else by its identifier, else by its name.
 * @throws UsageError when none has it, or several have the name
 */
export function findService(listed: readonly ListedService[], wanted: string): ListedService {
  const matches = [
    listed.filter(({ id }) => id === wanted),
    listed.filter(({ identifier }) => identifier === wanted),
    listed.filter(({ name }) => name === wanted),
  ].find((found) => found.length > 0)
  const [match, ...others] = matches ?? []
  if (match === undefined) {
    throw new UsageError(`no service has the id, identifier or name "${wanted}"`, {
      hints: ['show what is registered: kyconnect services list'],
      details: { wanted },
    })
  }
  if (others.length === 0) return match
  const ids = [match, ...others].map(({ id }) => id)
  throw new UsageError(`${ids.length} services have the name "${wanted}"`, {
    hints: [`name one by its id: ${ids.slice(0, 10).join(', ')}`],
    details: { wanted, ids },
  })
}
