import { compact, JsonSyntaxError, marshal, marshalObject, unmarshal, type JsonNode } from '../go/json.js'
import { fieldOf, goRaw, goString, pointerOf, textOf, typeError, type GoType } from '../go/struct.js'
import { prepend } from '../go/format.js'
import { isServiceUrl } from './service-url.js'

/** The contents of a valid definition (docs/contract.md §9). JSON texts are as the Registry will show them. */
export interface ServiceDefinition {
  readonly provider: string
  readonly name: string
  readonly description: string
  readonly identifier: string
  readonly labels: ReadonlyMap<string, string>
  readonly api?: {
    readonly targetUrl: string
    readonly specificationUrl: string
    readonly apiType: string
    readonly credentials?: Credentials
    /** JSON text. */
    readonly spec?: string
  }
  /** JSON text of the events' spec. */
  readonly eventsSpec?: string
  /** JSON text. */
  readonly documentation?: string
}

/** Secrets are checked and not kept: the Registry shows stars in their place, and the sandbox never calls the service. */
export type Credentials =
  | { readonly kind: 'oauth'; readonly url: string; readonly csrfUrl?: string }
  | { readonly kind: 'basic'; readonly csrfUrl?: string }
  | { readonly kind: 'certificateGen'; readonly commonName: string; readonly csrfUrl?: string }

const struct = (name: string, fields: Readonly<Record<string, GoType>>): GoType => ({ kind: 'struct', name, fields })
const csrfInfo = struct('externalapi.CSRFInfo', { tokenEndpointURL: goString })

const SERVICE_DETAILS = struct('externalapi.ServiceDetails', {
  provider: goString,
  name: goString,
  description: goString,
  shortDescription: goString,
  identifier: goString,
  labels: { kind: 'map', of: goString },
  api: struct('externalapi.API', {
    targetUrl: goString,
    credentials: struct('externalapi.CredentialsWithCSRF', {
      oauth: struct('externalapi.OauthWithCSRF', {
        url: goString,
        clientId: goString,
        clientSecret: goString,
        csrfInfo,
      }),
      basic: struct('externalapi.BasicAuthWithCSRF', { username: goString, password: goString, csrfInfo }),
      certificateGen: struct('externalapi.CertificateGenWithCSRF', {
        commonName: goString,
        certificate: goString,
        csrfInfo,
      }),
    }),
    spec: goRaw,
    specificationUrl: goString,
    apiType: goString,
  }),
  events: struct('externalapi.Events', { spec: goRaw }),
  documentation: struct('externalapi.Documentation', {
    displayName: goString,
    description: goString,
    type: goString,
    tags: { kind: 'slice', of: goString },
    docs: {
      kind: 'slice',
      of: struct('externalapi.DocsObject', { title: goString, type: goString, source: goString }),
    },
  }),
})

/** Reads a body; gives the Registry's message when it refuses the body. */
export function readServiceDefinition(body: Buffer): ServiceDefinition | { readonly refused: string } {
  const json = readJson(body)
  if (typeof json === 'string') return { refused: `Failed to unmarshal request body, ${json}` }
  const error = validationError(json)
  return error === undefined ? definitionFrom(json) : { refused: prepend('Failed to validate request body', error) }
}

function readJson(body: Buffer): JsonNode | string {
  try {
    const json = unmarshal(body)
    return typeError(json, SERVICE_DETAILS) ?? json
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.message
    throw error
  }
}

function validationError(json: JsonNode): string | undefined {
  const structure = structureErrors(json)
  if (structure.length > 0) return `Incorrect structure of service definition, ${structure.join(';')}`
  const api = pointerOf(json, 'api')
  const events = pointerOf(json, 'events')
  if (api === undefined && events === undefined) {
    return "At least one of service definition attributes: 'api', 'events' have to be provided"
  }
  const credentials = pointerOf(api, 'credentials')
  const methods = ['oauth', 'basic', 'certificateGen'].filter((name) => pointerOf(credentials, name) !== undefined)
  return (
    specError('api', api) ??
    (methods.length > 1 ? 'api.Credentials is invalid: to many authentication methods provided' : undefined) ??
    specError('events', events)
  )
}

/** The messages about single fields, in the order of the fields. */
function structureErrors(json: JsonNode): string[] {
  const errors: string[] = []
  const required = (node: JsonNode | undefined, field: string, text: string): void => {
    if (textOf(node, field) === '') errors.push(text)
  }
  const url = (node: JsonNode | undefined, field: string, text: string): void => {
    const value = textOf(node, field)
    if (value === '') errors.push(text)
    else if (!isServiceUrl(value)) errors.push(`${field}: ${value} does not validate as url`)
  }
  const csrf = (node: JsonNode): void => {
    const info = pointerOf(node, 'csrfInfo')
    if (info !== undefined) url(info, 'tokenEndpointURL', 'tokenEndpointURL field cannot be empty')
  }

  required(json, 'provider', 'Provider field cannot be empty.')
  required(json, 'name', 'Name field cannot be empty.')
  required(json, 'description', 'Description field cannot be empty.')
  const api = pointerOf(json, 'api')
  if (api !== undefined) url(api, 'targetUrl', 'targetUrl field cannot be empty.')
  const credentials = pointerOf(api, 'credentials')
  const oauth = pointerOf(credentials, 'oauth')
  if (oauth !== undefined) {
    url(oauth, 'url', 'oauth url field cannot be empty')
    required(oauth, 'clientId', 'oauth clientId field cannot be empty')
    required(oauth, 'clientSecret', 'oauth clientSecret field cannot be empty')
    csrf(oauth)
  }
  const basic = pointerOf(credentials, 'basic')
  if (basic !== undefined) {
    required(basic, 'username', 'basic auth username field cannot be empty')
    required(basic, 'password', 'basic auth password field cannot be empty')
    csrf(basic)
  }
  const certificateGen = pointerOf(credentials, 'certificateGen')
  if (certificateGen !== undefined) csrf(certificateGen)
  const events = pointerOf(json, 'events')
  if (events !== undefined && fieldOf(events, 'spec') === undefined) errors.push('spec cannot be empty')
  const documentation = pointerOf(json, 'documentation')
  if (documentation !== undefined) {
    for (const field of ['displayName', 'description', 'type']) {
      required(documentation, field, `${field} field cannot be empty in documentation`)
    }
  }
  return errors
}

const RAW_OBJECT: GoType = { kind: 'map', of: goRaw }

/** The error for a spec that is neither a JSON object nor null. */
function specError(owner: 'api' | 'events', node: JsonNode | undefined): string | undefined {
  const spec = fieldOf(node, 'spec')
  const error = spec && typeError(spec, RAW_OBJECT)?.replace('json.RawMessage', '*json.RawMessage')
  return error && `${owner}.Spec is not a proper json object, ${error}`
}

function definitionFrom(json: JsonNode): ServiceDefinition {
  const labels = pointerOf(json, 'labels')
  const api = pointerOf(json, 'api')
  const spec = fieldOf(api, 'spec')
  const credentials = credentialsFrom(pointerOf(api, 'credentials'))
  const eventsSpec = fieldOf(pointerOf(json, 'events'), 'spec')
  const documentation = pointerOf(json, 'documentation')
  return {
    provider: textOf(json, 'provider'),
    name: textOf(json, 'name'),
    description: textOf(json, 'description'),
    identifier: textOf(json, 'identifier'),
    labels: new Map(
      labels?.kind === 'object'
        ? labels.members.map(({ name, value }) => [name, value.kind === 'string' ? value.value : ''])
        : [],
    ),
    ...(api && {
      api: {
        targetUrl: textOf(api, 'targetUrl'),
        specificationUrl: textOf(api, 'specificationUrl'),
        apiType: textOf(api, 'apiType'),
        ...(credentials && { credentials }),
        ...(spec && { spec: compact(spec) }),
      },
    }),
    ...(eventsSpec && { eventsSpec: compact(eventsSpec) }),
    ...(documentation && { documentation: documentationFrom(documentation) }),
  }
}

function credentialsFrom(node: JsonNode | undefined): Credentials | undefined {
  const csrfOf = (owner: JsonNode): { csrfUrl?: string } => {
    const info = pointerOf(owner, 'csrfInfo')
    return info === undefined ? {} : { csrfUrl: textOf(info, 'tokenEndpointURL') }
  }
  const oauth = pointerOf(node, 'oauth')
  if (oauth !== undefined) return { kind: 'oauth', url: textOf(oauth, 'url'), ...csrfOf(oauth) }
  const basic = pointerOf(node, 'basic')
  if (basic !== undefined) return { kind: 'basic', ...csrfOf(basic) }
  const certificateGen = pointerOf(node, 'certificateGen')
  const commonName = textOf(certificateGen, 'commonName')
  if (certificateGen !== undefined && commonName !== '') {
    return { kind: 'certificateGen', commonName, ...csrfOf(certificateGen) }
  }
  return undefined
}

function documentationFrom(node: JsonNode): string {
  const text = (owner: JsonNode, field: string): [string, string] => [field, marshal(textOf(owner, field))]
  /** An empty list is left out like an absent one. */
  const list = (field: string, item: (node: JsonNode) => string): [string, string | undefined] => {
    const value = fieldOf(node, field)
    const filled = value?.kind === 'array' && value.items.length > 0
    return [field, filled ? `[${value.items.map(item).join(',')}]` : undefined]
  }
  return marshalObject([
    text(node, 'displayName'),
    text(node, 'description'),
    text(node, 'type'),
    list('tags', (tag) => (tag.kind === 'string' ? marshal(tag.value) : '""')),
    list('docs', (doc) => marshalObject([text(doc, 'title'), text(doc, 'type'), text(doc, 'source')])),
  ])
}
