import { parseJsonObject, valueOf } from '../json.js'
import { type ListedService, parseBase } from './listed-service.js'
import { isPresent, type Parts } from './parts.js'

/** All that the Registry shows of one service (docs/contract.md §9). Credentials are starred: it must never be written back. */
export interface RegisteredService extends ListedService {
  /** The whole answer; it has neither `id` nor `shortDescription`. */
  readonly details: object
  /** The answer as it came: the numbers of its specs keep their digits. */
  readonly json: string
}

/** Reads the answer to a GET of one service; undefined when it is not a JSON object. */
export function parseRegistered(body: string, id: string): RegisteredService | undefined {
  const details = parseJsonObject(body)
  return details === undefined ? undefined : { id, ...parseBase(details), details, json: body }
}

/** The parts that are stored. */
export function storedParts({ details }: RegisteredService): Parts {
  const api = valueOf(details, 'api')
  return {
    spec: typeof api === 'object' && api !== null && Object.hasOwn(api, 'spec'),
    events: isPresent(valueOf(details, 'events')),
    documentation: isPresent(valueOf(details, 'documentation')),
  }
}
