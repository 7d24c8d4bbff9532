import type { State } from '../state.js'

const FILE = 'services.json'

/** A service as the Registry keeps it. JSON texts are as they are shown. */
export interface StoredService {
  readonly id: string
  readonly provider: string
  readonly name: string
  readonly description: string
  readonly identifier: string
  /** JSON text. */
  readonly labels: string
  readonly api?: StoredApi
  /** Spec of the API, spec of the events, documentation: they are replaced together (contract §9). JSON texts. */
  readonly content: { readonly apiSpec?: string; readonly eventsSpec?: string; readonly documentation?: string }
}

export interface StoredApi {
  readonly targetUrl: string
  readonly specificationUrl: string
  readonly apiType: string
  readonly credentials?: StoredCredentials
}

export interface StoredCredentials {
  /** JSON text, secrets starred. */
  readonly shown: string
  /** Of certificateGen: a certificate stays until its name changes. */
  readonly commonName?: string
}

/** The services of each App, in the order in which they were made. */
export interface ServiceStore {
  /** undefined for an App that does not exist. */
  list(app: string): readonly StoredService[] | undefined
  replace(app: string, services: readonly StoredService[]): void
  /** The App is gone, and its services with it. */
  forget(app: string): void
}

/** An App that is not served this time keeps its services for the next. */
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

/** The file is this module's own; a change by hand that keeps it an object of lists with ids is taken as it is. */
function parseServices(text: string): Map<string, StoredService[]> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('it is no JSON object')
  return new Map(
    Object.entries(value).map(([app, list]: [string, unknown]) => {
      if (!Array.isArray(list) || !list.every(isStoredService))
        throw new Error(`the services of ${app} are no list of services`)
      return [app, list]
    }),
  )
}

function isStoredService(value: unknown): value is StoredService {
  return typeof value === 'object' && value !== null && 'id' in value && 'labels' in value && 'content' in value
}
