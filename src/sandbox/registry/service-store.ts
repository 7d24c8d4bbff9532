import type { State } from '../state.js'

const FILE = 'services.json'

/** A service as the Registry stores it. JSON texts are as the Registry shows them. */
export interface StoredService {
  readonly id: string
  readonly provider: string
  readonly name: string
  readonly description: string
  readonly identifier: string
  /** JSON text. */
  readonly labels: string
  readonly api?: StoredApi
  /** JSON texts of the API's spec, the events' spec and the documentation; they are replaced together (docs/contract.md §9). */
  readonly content: { readonly apiSpec?: string; readonly eventsSpec?: string; readonly documentation?: string }
}

export interface StoredApi {
  readonly targetUrl: string
  readonly specificationUrl: string
  readonly apiType: string
  readonly credentials?: StoredCredentials
}

export interface StoredCredentials {
  /** JSON text with stars in the place of secrets. */
  readonly shown: string
  /** For certificateGen: the certificate is kept until its name changes. */
  readonly commonName?: string
}

/** The services of each App, in the order of their creation. */
export interface ServiceStore {
  /** undefined for an App that does not exist. */
  list(app: string): readonly StoredService[] | undefined
  replace(app: string, services: readonly StoredService[]): void
  /** Removes the services of an App that was deleted. */
  forget(app: string): void
}

/** The services of an App that does not exist in this run are kept for the next one. */
export function openServiceStore(hasApp: (app: string) => boolean, state: State): ServiceStore {
  let services = new Map<string, readonly StoredService[]>(state.read(FILE, parseServices))
  const keep = (all: ReadonlyMap<string, readonly StoredService[]>): void => {
    state.write(FILE, JSON.stringify(Object.fromEntries(all)))
    services = new Map(all)
  }
  return {
    list: (app) => (hasApp(app) ? (services.get(app) ?? []) : undefined),
    replace(app, list) {
      keep(new Map([...services, [app, [...list]]]))
    },
    forget(app) {
      if (services.has(app)) keep(new Map([...services].filter(([other]) => other !== app)))
    },
  }
}

/** Reads the file that this module writes. The check finds damage; it does not validate what somebody wrote by hand. */
function parseServices(text: string): Map<string, StoredService[]> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('it is not a JSON object')
  return new Map(
    Object.entries(value).map(([app, list]: [string, unknown]) => {
      if (!Array.isArray(list) || !list.every(isStoredService))
        throw new Error(`the services of ${app} are not a list of services`)
      return [app, list]
    }),
  )
}

function isStoredService(value: unknown): value is StoredService {
  return typeof value === 'object' && value !== null && 'id' in value && 'labels' in value && 'content' in value
}
