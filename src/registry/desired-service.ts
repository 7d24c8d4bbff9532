import type { Content } from './content.js'
import type { Place } from './place.js'

/** A service as a service file describes it: checked, with its spec read, and with secrets as references. */
export interface DesiredService {
  /** Unique within an App. */
  readonly identifier: string
  readonly name: string
  /** The set that the file names. */
  readonly set: string | undefined
  /** The labels that the file gives, without ours. */
  readonly labels: Readonly<Record<string, string>>
  /**
   * The other fields for the Registry, by their wire names (docs/contract.md §9), in a fixed order: provider, name, description,
   * shortDescription, identifier, api, events, documentation. Specs are RawJson.
   */
  readonly content: Readonly<Record<string, Content>>
  /** Where the document begins. */
  readonly place: Place
  /** Where a field is: `placeOf(['api', 'targetUrl'])`; of a field that the document does not have, the nearest one around it. */
  placeOf(path: readonly (string | number)[]): Place
}
