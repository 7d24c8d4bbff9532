import { errorAnswer, jsonAnswer, methodNotAllowed, notFound, type Answer, type Request } from '../http/exchange.js'
import { issueCredentialCertificate } from '../pki/issue.js'
import { prepend } from '../go/format.js'
import { marshal, marshalObject } from '../go/json.js'
import { REGISTRY_API } from './api-document.js'
import { readServiceDefinition, type Credentials, type ServiceDefinition } from './service-definition.js'
import type { ServiceStore, StoredApi, StoredCredentials, StoredService } from './service-store.js'
import { fetchedAsJson, fetchSpecification, SpecificationError } from './specification.js'
import { rewriteSwagger } from './swagger.js'

export interface RegistryParts {
  readonly store: ServiceStore
  readonly newId: () => string
  readonly now: () => Date
}

/** Answers a request for `/<app>/v1/metadata` and its sub-paths; `rest` is the path after `metadata`. */
export type Registry = (app: string, rest: string, request: Request) => Promise<Answer>

/** The Application Registry (docs/contract.md §9). */
export function createRegistry(parts: RegistryParts): Registry {
  return async (app, rest, request) => {
    if (rest === '') return redirectToApi(request)
    if (rest === '/api.yaml') return request.method === 'GET' ? yamlAnswer : methodNotAllowed
    if (rest === '/services') {
      if (request.method === 'GET') return listServices(parts, app)
      return request.method === 'POST' ? createService(parts, app, request.body) : methodNotAllowed
    }
    const id = idIn(rest)
    if (id === undefined) return notFound
    if (request.method === 'GET') return readService(parts, app, id)
    if (request.method === 'PUT') return updateService(parts, app, id, request.body)
    return request.method === 'DELETE' ? deleteService(parts, app, id) : methodNotAllowed
  }
}

function idIn(rest: string): string | undefined {
  const segment = /^\/services\/([^/]+)$/.exec(rest)?.[1]
  try {
    return segment === undefined ? undefined : decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

const yamlAnswer: Answer = { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: REGISTRY_API }

/** Go's redirect has a body for GET only. */
function redirectToApi({ path, method }: Request): Answer {
  const location = `${path}/api.yaml`
  if (method !== 'GET' && method !== 'HEAD') return { status: 301, headers: { location }, body: '' }
  return {
    status: 301,
    headers: { location, 'content-type': 'text/html; charset=utf-8' },
    body: `<a href="${location}">Moved Permanently</a>.\n\n`,
  }
}

const appMissing = (app: string): string => `Application ${app} not found`

function listServices({ store }: RegistryParts, app: string): Answer {
  const services = store.list(app)
  if (services === undefined)
    return errorAnswer(404, prepend('Reading services from Application failed', appMissing(app)))
  return jsonAnswer(
    200,
    `[${services.map((service) => marshalObject([['id', marshal(service.id)], ...baseFields(service)])).join(',')}]`,
  )
}

/** The fields that every answer about a service has. shortDescription is never shown. */
function baseFields(service: StoredService): [string, string | undefined][] {
  return [
    ['provider', marshal(service.provider)],
    ['name', marshal(service.name)],
    ['description', marshal(service.description)],
    ['identifier', service.identifier === '' ? undefined : marshal(service.identifier)],
    ['labels', service.labels],
  ]
}

function readService({ store }: RegistryParts, app: string, id: string): Answer {
  const found = find(store, app, id)
  return typeof found === 'string' ? errorAnswer(404, found) : jsonAnswer(200, details(found))
}

/** The service, or the Registry's message when there is none. */
function find(store: ServiceStore, app: string, id: string): StoredService | string {
  const services = store.list(app)
  const found = services?.find((service) => service.id === id)
  if (found !== undefined) return found
  return prepend(
    `Reading service with ID ${id} failed`,
    services === undefined ? appMissing(app) : `Service with ID ${id} not found`,
  )
}

function details(service: StoredService): string {
  const { api, content } = service
  const orAbsent = (text: string): string | undefined => (text === '' ? undefined : marshal(text))
  return marshalObject([
    ...baseFields(service),
    [
      'api',
      api &&
        marshalObject([
          ['targetUrl', marshal(api.targetUrl)],
          ['credentials', api.credentials?.shown],
          ['spec', content.apiSpec],
          ['specificationUrl', orAbsent(api.specificationUrl)],
          ['apiType', orAbsent(api.apiType)],
        ]),
    ],
    ['events', content.eventsSpec && marshalObject([['spec', content.eventsSpec]])],
    ['documentation', content.documentation],
  ])
}

async function createService(parts: RegistryParts, app: string, body: Buffer): Promise<Answer> {
  const definition = readServiceDefinition(body)
  if ('refused' in definition) return errorAnswer(400, definition.refused)
  const id = parts.newId()
  const built = await build(parts, app, id, definition, undefined)
  if ('status' in built) return built
  // Other requests may have changed the list while a specification was fetched: it is read only now.
  const services = parts.store.list(app)
  if (services === undefined)
    return errorAnswer(404, prepend('Creating service in Application failed', appMissing(app)))
  const { identifier } = definition
  if (identifier !== '' && services.some((service) => service.identifier === identifier)) {
    return errorAnswer(409, prepend('Creating service failed', `Service with Identifier ${identifier} already exists`))
  }
  parts.store.replace(app, [...services, built])
  return jsonAnswer(200, marshal({ id }))
}

async function updateService(parts: RegistryParts, app: string, id: string, body: Buffer): Promise<Answer> {
  const definition = readServiceDefinition(body)
  if ('refused' in definition) return errorAnswer(400, definition.refused)
  const missing = (reason: string): Answer => errorAnswer(404, prepend(`Updating ${id} service failed`, reason))
  const before = find(parts.store, app, id)
  if (typeof before === 'string') return missing(before)
  const built = await build(parts, app, id, definition, before)
  if ('status' in built) return built
  const now = find(parts.store, app, id)
  if (typeof now === 'string') return missing(now)
  const services = parts.store.list(app) ?? []
  parts.store.replace(
    app,
    services.map((service) => (service.id === id ? built : service)),
  )
  return jsonAnswer(200, marshalObject(baseFields(built)))
}

/** Answers 204 for an unknown id, too. */
function deleteService({ store }: RegistryParts, app: string, id: string): Answer {
  const services = store.list(app)
  if (services === undefined) {
    return errorAnswer(404, prepend('Deleting service from Application repository failed', appMissing(app)))
  }
  if (services.some((service) => service.id === id))
    store.replace(
      app,
      services.filter((service) => service.id !== id),
    )
  return { status: 204, headers: {}, body: '' }
}

/** The service that a definition describes, which may replace `before`; an answer when its specification cannot be fetched. */
async function build(
  parts: RegistryParts,
  app: string,
  id: string,
  definition: ServiceDefinition,
  before: StoredService | undefined,
): Promise<StoredService | Answer> {
  const spec = await specOf(definition, app, id)
  if (typeof spec === 'object') return spec
  const { api, eventsSpec, documentation } = definition
  const content = {
    ...(spec !== undefined && { apiSpec: spec }),
    ...(eventsSpec !== undefined && { eventsSpec }),
    ...(documentation !== undefined && { documentation }),
  }
  const credentials =
    api?.credentials && (await storedCredentials(api.credentials, before?.api?.credentials, parts.now()))
  const storedApi: StoredApi | undefined = api && {
    targetUrl: api.targetUrl,
    specificationUrl: api.specificationUrl,
    apiType: api.apiType,
    ...(credentials && { credentials }),
  }
  const labels = [...new Map([...definition.labels, ['connected-app', app]])].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    id,
    provider: definition.provider,
    name: definition.name,
    description: definition.description,
    identifier: before === undefined ? definition.identifier : before.identifier,
    labels: marshalObject(labels.map(([name, value]) => [name, marshal(value)])),
    ...(storedApi && { api: storedApi }),
    // When the definition has none of the three, the stored ones stay; when it has one, the others are dropped.
    content: Object.keys(content).length === 0 && before !== undefined ? before.content : content,
  }
}

/** The API's spec: the one in the definition, else the one at specificationUrl or, for OData, at the target. */
async function specOf(definition: ServiceDefinition, app: string, id: string): Promise<string | undefined | Answer> {
  const { api } = definition
  if (api === undefined) return undefined
  if (api.spec !== undefined) return rewriteSwagger(api.spec, app, id)
  const isOData = api.apiType.toLowerCase() === 'odata'
  const url = api.specificationUrl === '' && isOData ? `${api.targetUrl}/$metadata` : api.specificationUrl
  if (url === '') return undefined
  try {
    return rewriteSwagger(fetchedAsJson(await fetchSpecification(url)), app, id)
  } catch (error) {
    if (!(error instanceof SpecificationError)) throw error
    return errorAnswer(502, prepend(`Determining API spec for service with ID ${id} failed`, error.message))
  }
}

const STARS = '********'

async function storedCredentials(
  credentials: Credentials,
  before: StoredCredentials | undefined,
  now: Date,
): Promise<StoredCredentials> {
  const csrfInfo = credentials.csrfUrl === undefined ? {} : { csrfInfo: { tokenEndpointURL: credentials.csrfUrl } }
  switch (credentials.kind) {
    case 'oauth':
      return { shown: marshal({ oauth: { url: credentials.url, clientId: STARS, clientSecret: STARS, ...csrfInfo } }) }
    case 'basic':
      return { shown: marshal({ basic: { username: STARS, password: STARS, ...csrfInfo } }) }
    case 'certificateGen': {
      const { commonName } = credentials
      if (before?.commonName === commonName) return before
      const certificate = Buffer.from(await issueCredentialCertificate(commonName, now)).toString('base64')
      return { commonName, shown: marshal({ certificateGen: { commonName, certificate, ...csrfInfo } }) }
    }
  }
}
