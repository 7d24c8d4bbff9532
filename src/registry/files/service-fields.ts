import type { FieldPath } from './field-path.js'

/** The fields for the Registry in the order in which they are sent and digested (docs/contract.md §9). */
export const contentFields = [
  'provider',
  'name',
  'description',
  'shortDescription',
  'identifier',
  'api',
  'events',
  'documentation',
] as const

/** The fields of each mapping, for suggestions; schema/service.schema.json has the types. */
const parameters = ['headers', 'queryParameters']
export const knownFields: Readonly<Record<string, readonly string[]>> = {
  '': [...contentFields, 'labels', 'set', '$schema'],
  api: [
    'targetUrl',
    'spec',
    'specificationUrl',
    'apiType',
    'credentials',
    ...parameters,
    'requestParameters',
    'specificationCredentials',
    'specificationRequestParameters',
  ],
  'api.requestParameters': parameters,
  'api.specificationRequestParameters': parameters,
  'api.credentials': ['basic', 'oauth', 'certificateGen'],
  'api.credentials.basic': ['username', 'password', 'csrfInfo'],
  'api.credentials.basic.csrfInfo': ['tokenEndpointURL'],
  'api.credentials.oauth': ['url', 'clientId', 'clientSecret', 'csrfInfo'],
  'api.credentials.oauth.csrfInfo': ['tokenEndpointURL'],
  'api.credentials.certificateGen': ['commonName', 'csrfInfo'],
  'api.credentials.certificateGen.csrfInfo': ['tokenEndpointURL'],
  'api.specificationCredentials': ['basic', 'oauth'],
  'api.specificationCredentials.basic': ['username', 'password'],
  'api.specificationCredentials.oauth': ['url', 'clientId', 'clientSecret'],
  events: ['spec'],
  documentation: ['displayName', 'description', 'type', 'tags', 'docs'],
  'documentation.docs[]': ['title', 'type', 'source'],
}

/** `documentation.docs[].source`: the same text for each item. */
export function patternOf(path: FieldPath): string {
  return path.map((part, index) => (typeof part === 'number' ? '[]' : `${index === 0 ? '' : '.'}${part}`)).join('')
}

export type FieldRole = 'spec' | 'secret' | 'url' | 'fetched-url' | 'markdown' | 'plain'

const roles = new Map<string, FieldRole>([
  ['api.spec', 'spec'],
  ['events.spec', 'spec'],
  ['api.targetUrl', 'url'],
  ['api.specificationUrl', 'fetched-url'],
  ['documentation.docs[].source', 'markdown'],
])
for (const credentials of ['api.credentials', 'api.specificationCredentials']) {
  roles.set(`${credentials}.oauth.url`, 'url')
  for (const method of ['basic', 'oauth', 'certificateGen']) {
    roles.set(`${credentials}.${method}.csrfInfo.tokenEndpointURL`, 'url')
  }
  for (const secret of ['basic.username', 'basic.password', 'oauth.clientId', 'oauth.clientSecret']) {
    roles.set(`${credentials}.${secret}`, 'secret')
  }
}

/** What a text field holds besides text. */
export function roleOf(path: FieldPath): FieldRole {
  return roles.get(patternOf(path)) ?? 'plain'
}
