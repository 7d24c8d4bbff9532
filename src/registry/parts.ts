import type { Content } from './content.js'
import { objectIn } from './content-fields.js'
import type { DesiredService } from './desired-service.js'

/** Which parts of a service a PUT keeps or drops together (docs/contract.md §9). */
export interface Parts {
  /** The API's spec, also where the Registry fetches it. */
  readonly spec: boolean
  readonly events: boolean
  readonly documentation: boolean
}

export function isWithoutParts({ spec, events, documentation }: Parts): boolean {
  return !spec && !events && !documentation
}

/** The parts of a service that are sent, or that the Registry fetches on its own. */
export function partsOf({ content }: DesiredService): Parts {
  const api = objectIn(content['api'])
  return {
    spec: api !== undefined && (Object.hasOwn(api, 'spec') || fetchesSpec(api)),
    events: isPresent(content['events']),
    documentation: isPresent(content['documentation']),
  }
}

/** The field that makes the Registry fetch the API's spec from somewhere, if one does. */
export function fetchedFrom({ content }: DesiredService): 'specificationUrl' | 'targetUrl' | undefined {
  const api = objectIn(content['api'])
  if (api === undefined || Object.hasOwn(api, 'spec') || !fetchesSpec(api)) return undefined
  return isText(api['specificationUrl']) ? 'specificationUrl' : 'targetUrl'
}

/** An OData service without a URL for its specification has it below the target (docs/contract.md §9). */
function fetchesSpec(api: Readonly<Record<string, Content>>): boolean {
  const { apiType, specificationUrl } = api
  return isText(specificationUrl) || (isText(apiType) && apiType.toLowerCase() === 'odata')
}

function isText(value: Content | undefined): value is string {
  return typeof value === 'string' && value !== ''
}

/** null counts as absent (docs/contract.md §9). */
export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}
