import { UsageError } from '../../../errors.js'
import type { ListedService } from '../../../registry/listed-service.js'
import { oneLine } from '../../../redaction.js'

/**
 * The service that a person means by its id, its identifier or its name, in this order.
 * @throws UsageError when there is none, or several have the name
 */
export function findService(given: string, listed: readonly ListedService[]): ListedService {
  const byId = listed.find(({ id }) => id === given)
  if (byId !== undefined) return byId
  const [found, ...others] = [
    listed.filter(({ identifier }) => identifier === given),
    listed.filter(({ name }) => name === given),
  ].find((matches) => matches.length > 0) ?? []
  const shown = oneLine(given).slice(0, 200)
  if (found === undefined) {
    throw new UsageError(`no registered service has the id, the identifier or the name "${shown}"`, {
      hints: ['see which are registered: kyconnect services list'],
    })
  }
  if (others.length === 0) return found
  const ids = [found, ...others].map(({ id }) => id)
  throw new UsageError(`${ids.length} services are called "${shown}"`, {
    hints: [`name one by its id: ${ids.slice(0, 10).join(', ')}`],
    details: { ids },
  })
}
