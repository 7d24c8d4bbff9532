import { type Content, RawJson, SecretReference } from '../../src/registry/content.js'
import type { DesiredService } from '../../src/registry/desired-service.js'

/** What a test says about a service; the rest is usual. */
export interface Given {
  readonly name?: string
  readonly provider?: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly api?: Readonly<Record<string, Content>>
  readonly events?: Readonly<Record<string, Content>>
  readonly documentation?: Readonly<Record<string, Content>>
  readonly set?: string
}

/** A service as a service file describes it: every field has its own line in `<identifier>.yaml`. */
export function serviceOf(identifier: string, given: Given = {}): DesiredService {
  const { name = `The ${identifier}`, provider = 'Shop Ltd', description = 'Sells', labels = {}, set } = given
  const { api, events, documentation } = given
  const content = {
    provider,
    name,
    description,
    identifier,
    ...(api === undefined && events === undefined ? { api: { targetUrl: 'https://orders.example' } } : {}),
    ...(api === undefined ? {} : { api: { targetUrl: 'https://orders.example', ...api } }),
    ...(events === undefined ? {} : { events }),
    ...(documentation === undefined ? {} : { documentation }),
  }
  const file = `${identifier}.yaml`
  return {
    identifier,
    name,
    set,
    labels,
    content,
    place: { file, line: 1, column: 1 },
    placeOf: (path) => ({ file, line: lineOf(path.join('.')), column: path.length + 1 }),
  }
}

const fields = [
  '',
  'provider',
  'name',
  'description',
  'identifier',
  'api',
  'api.targetUrl',
  'api.spec',
  'api.specificationUrl',
  'api.credentials',
  'api.credentials.basic',
  'api.credentials.basic.username',
  'api.credentials.basic.password',
  'api.credentials.oauth.url',
  'api.credentials.oauth.csrfInfo.tokenEndpointURL',
  'events.spec',
  'documentation.type',
]

/** The line on which `serviceOf` has a field. */
export function lineOf(path: string): number {
  return fields.indexOf(path) + 1
}

export function secret(variable: string): SecretReference {
  return new SecretReference({ kind: 'environment', variable }, `\${env:${variable}}`)
}

export const openApi = new RawJson('{"openapi":"3.0.0","info":{"title":"Orders","version":"1.0"},"paths":{}}')
export const asyncApi = new RawJson('{"asyncapi":"2.0.0","info":{"title":"Orders","version":"1.0"},"channels":{}}')
export const documentation = { displayName: 'Orders', description: 'How to order', type: 'guide' }

/** Two states of one folder: from `before` to `after`, services are created, updated, replaced, deleted and left alone. */
export function describedServices(which: string): readonly DesiredService[] {
  const stays = serviceOf('stays', { api: { spec: openApi } })
  if (which === 'before')
    return [
      stays,
      serviceOf('changes', { events: { spec: asyncApi } }),
      serviceOf('is-replaced', { api: { spec: openApi } }),
      serviceOf('goes', { events: { spec: asyncApi } }),
      serviceOf('goes-too'),
    ]
  return [
    stays,
    serviceOf('changes', { events: { spec: asyncApi }, documentation }),
    serviceOf('comes'),
    serviceOf('comes-too', { api: { spec: openApi } }),
    serviceOf('is-replaced'),
  ]
}
