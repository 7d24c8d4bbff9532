import type { FieldPath } from './field-path.js'

/** What a text holds besides text. */
export type FieldRole = 'spec' | 'secret' | 'url' | 'fetched-url' | 'markdown'

/**
 * The fields of a service (docs/contract.md §9), for suggestions and for what a schema does not say. The types are in
 * schema/service.schema.json.
 */
export interface Shape {
  readonly role?: FieldRole
  /** In the order in which they are named to people. */
  readonly fields?: ReadonlyMap<string, Shape>
  /** Of a list. */
  readonly items?: Shape
}

const text: Shape = {}
const role = (name: FieldRole): Shape => ({ role: name })
const mapping = (fields: Readonly<Record<string, Shape>>): Shape => ({ fields: new Map(Object.entries(fields)) })

const csrfInfo = mapping({ tokenEndpointURL: role('url') })
const basic = { username: role('secret'), password: role('secret') }
const oauth = { url: role('url'), clientId: role('secret'), clientSecret: role('secret') }
const requestParameters = mapping({ headers: text, queryParameters: text })

/** Sent and digested in this order. */
const content = {
  provider: text,
  name: text,
  description: text,
  shortDescription: text,
  identifier: text,
  api: mapping({
    targetUrl: role('url'),
    spec: role('spec'),
    specificationUrl: role('fetched-url'),
    apiType: text,
    credentials: mapping({
      basic: mapping({ ...basic, csrfInfo }),
      oauth: mapping({ ...oauth, csrfInfo }),
      certificateGen: mapping({ commonName: text, csrfInfo }),
    }),
    headers: text,
    queryParameters: text,
    requestParameters,
    specificationCredentials: mapping({ basic: mapping(basic), oauth: mapping(oauth) }),
    specificationRequestParameters: requestParameters,
  }),
  events: mapping({ spec: role('spec') }),
  documentation: mapping({
    displayName: text,
    description: text,
    type: text,
    tags: text,
    docs: { items: mapping({ title: text, type: text, source: role('markdown') }) },
  }),
}

/** The fields that are sent as they are, labels apart. */
export const contentFields: ReadonlyMap<string, Shape> = new Map(Object.entries(content))
export const serviceShape = mapping({ ...content, labels: text, set: text, $schema: text })

/** The shape of what is at a path; undefined for what a service does not have. */
export function shapeAt(path: FieldPath): Shape | undefined {
  let shape: Shape | undefined = serviceShape
  for (const part of path) shape = typeof part === 'number' ? shape?.items : shape?.fields?.get(part)
  return shape
}

/** The names of the fields that the mapping at a path may have; none where they are free. */
export function fieldNames(path: FieldPath): readonly string[] {
  return [...(shapeAt(path)?.fields?.keys() ?? [])]
}
