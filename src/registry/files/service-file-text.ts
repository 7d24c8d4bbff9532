import { member, objects, text, valueOf } from '../../json.js'
import { RawJson } from '../content.js'
import { schemaComment } from './schema-comment.js'
import { slugOf } from './slug.js'
import { formatYaml, VerbatimYaml, YamlMap, type YamlValue } from './yaml-text.js'

export interface FormatOptions {
  /** Of the files: `orders` gives orders.yaml and orders.openapi.json. The caller chooses one that is free. */
  readonly baseName: string
  /** Used in the comment for editors: the relative path of schema/service.schema.json; undefined: no comment. */
  readonly schema: string | undefined
}

export interface WrittenFile {
  readonly name: string
  readonly text: string
}

/** A registered service as files. */
export interface WrittenService {
  /** The service file first. */
  readonly files: readonly [WrittenFile, ...WrittenFile[]]
  /** The environment variables that the file refers to. */
  readonly variables: readonly string[]
}

type MapField = YamlMap['fields'][number]

/**
 * Writes a registered service as a service file, with its specifications in files beside it. Secrets become references, because the
 * Registry returns stars (docs/contract.md §9). What cannot be applied back is said in comments.
 * @param details the answer of GET /services/{id}; a spec may be RawJson
 */
export function formatServiceFile(details: object, { baseName, schema }: FormatOptions): WrittenService {
  const files: WrittenFile[] = []
  const identifier = text(details, 'identifier')
  const labels = Object.entries(member(details, 'labels')).filter(
    ([name, value]) => typeof value === 'string' && name !== 'connected-app' && !name.startsWith('kyconnect-'),
  )
  const writer = new Writer(identifier ?? baseName, baseName, files)
  const api = valueOf(details, 'api')
  const events = valueOf(details, 'events')
  const documentation = valueOf(details, 'documentation')
  const set = text(member(details, 'labels'), 'kyconnect-set')
  const fields: MapField[] = [
    ...(set === undefined ? [] : [['set', set] as const]),
    identifier === undefined
      ? [
          'identifier',
          slugOf(text(details, 'name') ?? baseName),
          'The registered service has no identifier: applying this file registers a second service.',
        ]
      : ['identifier', identifier],
    ...writer.texts(details, ['name', 'provider', 'description']),
    [
      'shortDescription',
      undefined,
      'The Registry does not return shortDescription: applying this file without it removes it.',
    ],
    ...(labels.length === 0
      ? []
      : [['labels', new YamlMap(labels.map(([name, value]) => [name, String(value)]))] as const]),
    ...(isObject(api) ? [['api', new YamlMap(writer.api(api))] as const] : []),
    ...(isObject(events) ? [['events', new YamlMap(writer.spec(events, 'asyncapi'))] as const] : []),
    ...(isObject(documentation) ? [['documentation', new YamlMap(writer.documentation(documentation))] as const] : []),
  ]
  const serviceFile = `${schemaComment(schema)}${formatYaml(new YamlMap(fields))}`
  return { files: [{ name: `${baseName}.yaml`, text: serviceFile }, ...files], variables: writer.variables }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

class Writer {
  /** The environment variables that credentials refer to. */
  readonly variables: string[] = []
  readonly #owner: string
  readonly #baseName: string
  readonly #files: WrittenFile[]

  constructor(identifier: string, baseName: string, files: WrittenFile[]) {
    this.#owner = identifier
      .toUpperCase()
      .replace(/[^A-Z\d]+/g, '_')
      .replace(/^_|_$/g, '')
    this.#baseName = baseName
    this.#files = files
  }

  texts(owner: object, names: readonly string[]): MapField[] {
    return names.flatMap((name): MapField[] => {
      const value = valueOf(owner, name)
      return typeof value === 'string' ? [[name, value]] : []
    })
  }

  api(api: object): MapField[] {
    return [
      ...this.texts(api, ['targetUrl', 'apiType', 'specificationUrl']),
      ...this.spec(api, 'openapi'),
      ...this.#credentials(api, 'credentials', ''),
      ...this.#lists(api, ['headers', 'queryParameters']),
      ...this.#parameters(api, 'requestParameters'),
      ...this.#credentials(api, 'specificationCredentials', 'SPECIFICATION_'),
      ...this.#parameters(api, 'specificationRequestParameters'),
    ]
  }

  spec(owner: object, kind: 'openapi' | 'asyncapi'): MapField[] {
    const value = valueOf(owner, 'spec')
    if (value === undefined) return []
    const raw = value instanceof RawJson ? value.text : undefined
    const parsed: unknown = raw === undefined ? value : JSON.parse(raw)
    if (typeof parsed === 'string') {
      return [['spec', undefined, 'The Registry fetched the specification, which is not JSON: it will fetch it again.']]
    }
    if (!isObject(parsed)) return [['spec', new VerbatimYaml('null')]]
    const isKnown = Object.keys(parsed).some((name) => /^(?:openapi|swagger|asyncapi)$/i.test(name))
    if (!isKnown) return [['spec', new VerbatimYaml(raw ?? JSON.stringify(parsed))]]
    const name = `${this.#baseName}.${kind}.json`
    this.#files.push({ name, text: `${raw ?? JSON.stringify(parsed, undefined, 2)}\n` })
    const isSwagger = Object.keys(parsed).some((key) => key.toLowerCase() === 'swagger')
    return [
      [
        'spec',
        `./${name}`,
        isSwagger
          ? 'The Registry has replaced the host, the base path and the schemes of this document by those of its gateway.'
          : undefined,
      ],
    ]
  }

  documentation(documentation: object): MapField[] {
    const items = objects(documentation, 'docs').map((doc) => new YamlMap(this.texts(doc, ['title', 'type', 'source'])))
    return [
      ...this.texts(documentation, ['displayName', 'description', 'type']),
      ...(valueOf(documentation, 'tags') === undefined ? [] : [['tags', texts(documentation, 'tags')] as const]),
      ...(items.length === 0 ? [] : [['docs', items] as const]),
    ]
  }

  #credentials(api: object, name: string, prefix: string): MapField[] {
    const credentials = valueOf(api, name)
    if (!isObject(credentials)) return []
    const fields: MapField[] = []
    for (const [method, secrets] of [
      ['basic', ['username', 'password']],
      ['oauth', ['clientId', 'clientSecret']],
      ['certificateGen', []],
    ] as const) {
      const given = valueOf(credentials, method)
      if (!isObject(given)) continue
      const csrf = text(member(given, 'csrfInfo'), 'tokenEndpointURL')
      const hasCertificate = valueOf(given, 'certificate') !== undefined
      fields.push([
        method,
        new YamlMap([
          ...this.texts(given, ['url', 'commonName']),
          ...secrets.map((secret) => [secret, `\${env:${this.#variable(prefix, secret)}}`] as const),
          ...(csrf === undefined ? [] : [['csrfInfo', new YamlMap([['tokenEndpointURL', csrf]])] as const]),
        ]),
        hasCertificate
          ? 'The Registry generates a key and a certificate: applying this file makes new ones.'
          : undefined,
      ])
    }
    return fields.length === 0 ? [] : [[name, new YamlMap(fields)]]
  }

  /** `KYCONNECT_SECRET_ORDERS_CLIENT_ID` */
  #variable(prefix: string, secret: string): string {
    const name = `KYCONNECT_SECRET_${this.#owner}_${prefix}${secret.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
    this.variables.push(name)
    return name
  }

  #parameters(api: object, name: string): MapField[] {
    const fields = this.#lists(member(api, name), ['headers', 'queryParameters'])
    return fields.length === 0 ? [] : [[name, new YamlMap(fields)]]
  }

  #lists(owner: object, names: readonly string[]): MapField[] {
    return names.flatMap((name): MapField[] => {
      const value = valueOf(owner, name)
      if (!isObject(value)) return []
      const lists = Object.keys(value).map((key): readonly [string, YamlValue] => [key, texts(value, key)])
      return lists.length === 0 ? [] : [[name, new YamlMap(lists)]]
    })
  }
}

function texts(owner: object, name: string): string[] {
  const list = valueOf(owner, name)
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : []
}
