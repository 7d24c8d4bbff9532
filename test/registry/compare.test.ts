import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { compareStored } from '../../src/registry/compare.js'
import { type Content, RawJson } from '../../src/registry/content.js'
import type { DesiredService } from '../../src/registry/desired-service.js'
import { contentDigest } from '../../src/registry/digest.js'
import { jsonDifferences } from '../../src/registry/json-differences.js'
import { chooseSet } from '../../src/registry/choose-set.js'
import { formatRemembered, isSetName, parseRemembered } from '../../src/registry/label.js'
import { partsOf } from '../../src/registry/parts.js'
import { parseRegistered, type RegisteredService } from '../../src/registry/registered-service.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { startTestSandbox } from '../sandbox/wire.js'
import { run } from '../support/apply.js'
import { openSandboxRegistry, type OpenRegistry } from '../support/registry.js'
import { asyncApi, documentation, type Given, openApi, secret, serviceOf } from '../support/services.js'

let sandbox: Sandbox
let registry: OpenRegistry
beforeAll(async () => {
  sandbox = await startTestSandbox()
  registry = await openSandboxRegistry(sandbox, 'demo')
})
afterEach(async () => {
  for (const { id } of await registry.client.list()) await registry.client.delete(id)
})
afterAll(async () => {
  await registry.close()
  await sandbox.close()
})

const apply = async (service: DesiredService): Promise<RegisteredService> => {
  const { results } = await run(registry, [service])
  const found = await registry.client.get(results[0]?.id ?? '')
  if (found === undefined) throw new Error('it is not registered')
  return found
}
const shown = (service: DesiredService, registered: RegisteredService): string[] =>
  compareStored(service, registered).map(({ path, kind }) => `${kind} ${path.join('.')}`)
/** The service with its JSON changed, as if by hand. */
const changed = (registered: RegisteredService, change: (details: Json) => void): RegisteredService => {
  const details = JSON.parse(registered.json) as Json
  change(details)
  const found = parseRegistered(JSON.stringify(details), registered.id)
  if (found === undefined) throw new Error('it is not a service')
  return found
}
type Json = Record<string, Record<string, unknown>>

const swagger = {
  swagger: '2.0',
  host: 'orders.example',
  basePath: '/v1',
  schemes: ['https'],
  info: { title: 'Orders', version: '1', 'x-Owner': 'a', unknown: 1 },
  consumes: ['application/json'],
  unknown: true,
  'x-top': { a: [1] },
  paths: {
    '/orders': {
      get: {
        summary: '',
        deprecated: false,
        parameters: [{ name: 'n', in: 'query', type: 'integer', required: false }],
        responses: { 200: { description: 'ok', schema: { $ref: '#/definitions/Order' } } },
      },
      post: { responses: { default: { description: 'd' } } },
    },
    noslash: {},
  },
  definitions: { Order: { type: ['object'], properties: { id: { type: 'string', unknownToo: null } } }, Empty: {} },
  tags: [],
}
const withSwagger = serviceOf('orders', { api: { spec: new RawJson(JSON.stringify(swagger)) } })

describe('a service that is as it was applied has no differences', () => {
  test.each<[string, Given]>([
    ['OpenAPI', { api: { spec: openApi } }],
    [
      'events and documentation',
      { events: { spec: asyncApi }, documentation: { ...documentation, tags: [], docs: [] } },
    ],
    [
      'documents',
      {
        documentation: {
          ...documentation,
          tags: ['a'],
          docs: [{ title: 'T', type: 'md', source: '# x' }, { title: 'U' }],
        },
      },
    ],
    ['Basic authentication', { api: { credentials: { basic: { username: secret('A'), password: secret('B') } } } }],
    [
      'OAuth with CSRF',
      {
        api: {
          credentials: {
            oauth: {
              url: 'https://a.example',
              clientId: secret('A'),
              clientSecret: secret('B'),
              csrfInfo: { tokenEndpointURL: 'https://c.example' },
            },
          },
        },
      },
    ],
    ['a generated certificate', { api: { credentials: { certificateGen: { commonName: 'orders' } } } }],
    [
      'what this release does not know',
      { api: { headers: { 'X-A': ['b'] }, requestParameters: { headers: { a: ['b'] } } } },
    ],
    ['labels', { labels: { team: 'a', 'a.b': '' } }],
    ['a short description', {}],
  ])('%s', async (name, given) => {
    const service = serviceOf('orders', given)
    const content = name === 'a short description' ? { ...service.content, shortDescription: 'S' } : service.content
    expect(shown({ ...service, content }, await apply({ ...service, content }))).toEqual([])
  })

  test('Swagger 2.0, which the Registry writes anew', async () => {
    const registered = await apply(withSwagger)
    expect(registered.json).not.toContain('orders.example/v1')
    expect(registered.json).not.toContain('basePath')
    expect(shown(withSwagger, registered)).toEqual([])
  })
})

describe('a change by hand is found', () => {
  test.each<[string, string, (details: Json) => void]>([
    [
      'the target',
      'different api.targetUrl',
      ({ api }) => Object.assign(api ?? {}, { targetUrl: 'https://x.example' }),
    ],
    ['the spec', 'missing api.spec.paths', ({ api }) => delete (api?.['spec'] as Json)['paths']],
    ['more in the spec', 'unexpected api.spec.more', ({ api }) => Object.assign(api?.['spec'] ?? {}, { more: 1 })],
    ['the spec itself', 'missing api.spec', ({ api }) => delete api?.['spec']],
    [
      'the user',
      'missing api.credentials.basic.username',
      ({ api }) => Object.assign(api ?? {}, { credentials: { basic: { password: '********' } } }),
    ],
    ['the credentials', 'missing api.credentials', ({ api }) => delete api?.['credentials']],
    ['events', 'unexpected events', (details) => Object.assign(details, { events: { spec: {} } })],
    ['documentation', 'unexpected documentation', (details) => Object.assign(details, { documentation })],
    ['a label', 'different labels.team', ({ labels }) => Object.assign(labels ?? {}, { team: 'b' })],
    ['a missing label', 'missing labels.team', ({ labels }) => delete labels?.['team']],
    ['another label', 'unexpected labels.x.y', ({ labels }) => Object.assign(labels ?? {}, { 'x.y': 'b' })],
    ['the name', 'different name', (details) => Object.assign(details, { name: 'New' })],
  ])('%s', async (_, difference, change) => {
    const service = serviceOf('orders', {
      labels: { team: 'a' },
      api: { spec: openApi, credentials: { basic: { username: secret('A'), password: secret('B') } } },
    })
    expect(shown(service, changed(await apply(service), change))).toEqual([difference])
  })

  test('to other credentials', async () => {
    const service = serviceOf('orders', {
      api: { credentials: { basic: { username: secret('A'), password: secret('B') } } },
    })
    const other = { oauth: { url: 'https://a.example', clientId: '********', clientSecret: '********' } }
    const found = shown(
      service,
      changed(await apply(service), ({ api }) => Object.assign(api ?? {}, { credentials: other })),
    )
    expect(found).toEqual(['missing api.credentials.basic', 'unexpected api.credentials.oauth'])
  })

  test.each<[string, string, (spec: Json) => void]>([
    ['a path', 'missing api.spec.paths./orders', ({ paths }) => delete paths?.['/orders']],
    ['an operation', 'missing api.spec.paths./orders.post', ({ paths }) => delete (paths?.['/orders'] as Json)['post']],
    [
      'another path',
      'unexpected api.spec.paths./new',
      ({ paths }) => Object.assign(paths ?? {}, { '/new': { get: { responses: { 200: { description: 'd' } } } } }),
    ],
    ['a definition', 'missing api.spec.definitions.Order', ({ definitions }) => delete definitions?.['Order']],
    ['the title', 'different api.spec.info.title', ({ info }) => Object.assign(info ?? {}, { title: 'New' })],
    ['all definitions', 'missing api.spec.definitions', (spec) => delete spec['definitions']],
    ['an extension', 'missing api.spec.x-top', (spec) => delete spec['x-top']],
  ])('in Swagger 2.0: %s', async (_, difference, change) => {
    const registered = changed(await apply(withSwagger), ({ api }) => {
      change(api?.['spec'] as Json)
    })
    expect(shown(withSwagger, registered)).toEqual([difference])
  })
})

test('JSON values have no differences exactly when they are equal', () => {
  const json = fc.jsonValue({ maxDepth: 4 })
  fc.assert(
    fc.property(json, json, (one, other) => {
      const [a, b] = [one, other].map((value): unknown => JSON.parse(JSON.stringify(value)))
      expect(jsonDifferences(a, a)).toEqual([])
      expect(jsonDifferences(a, b).length === 0).toBe(isDeepStrictEqual(a, b))
    }),
  )
})

test('JSON that is nested too deeply to compare counts as different, and exhausts no stack', () => {
  const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
  expect(jsonDifferences(deep, deep)).toHaveLength(1)
})

describe('the digest', () => {
  const content: fc.Arbitrary<Content> = fc.letrec<{ value: Content }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom<Content>(null, true, 1, '', 'a', 'rawa', new RawJson('"a"'), new RawJson('a'), secret('A')),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { noNullPrototype: true }),
    ),
  })).value

  test('differs exactly when the content does, whatever the order of its fields', () => {
    const digestOf = (value: Content): string => contentDigest({ ...serviceOf('a'), content: { value } })
    fc.assert(
      fc.property(content, content, (one, other) => {
        expect(digestOf(reversed(one))).toBe(digestOf(one))
        expect(digestOf(one) === digestOf(other)).toBe(isDeepStrictEqual(one, other))
      }),
      { numRuns: 2000 },
    )
  })

  test('does not depend on a secret, only on the reference', () => {
    const given = (name: string): DesiredService =>
      serviceOf('a', { api: { credentials: { basic: { username: secret(name) } } } })
    expect(contentDigest(given('A'))).toBe(contentDigest(given('A')))
    expect(contentDigest(given('A'))).not.toBe(contentDigest(given('B')))
  })

  test('is read back from the label, with the parts', () => {
    for (const given of [{}, { api: { spec: openApi } }, { events: { spec: asyncApi }, documentation }]) {
      const service = serviceOf('a', given)
      const text = formatRemembered(service)
      expect(parseRemembered(text)).toEqual({ parts: partsOf(service), digest: contentDigest(service) })
      // It could be the value of a label of Kubernetes.
      expect(isSetName(text)).toBe(true)
    }
    for (const text of ['', 'v1', `v1.---.${'0'.repeat(31)}`, `v2.---.${'0'.repeat(32)}`, `v1.eds.${'0'.repeat(32)}`])
      expect(parseRemembered(text)).toBeUndefined()
  })
})

/** The same content with its fields in the opposite order. */
function reversed(value: Content): Content {
  if (Array.isArray(value)) return value.map((item: Content) => reversed(item))
  if (typeof value !== 'object' || value === null || value instanceof RawJson || 'source' in value) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, item]: [string, Content]) => [name, reversed(item)]),
  )
}

describe('the set', () => {
  test('is the given one, else the one of the files, else "default"', () => {
    expect(chooseSet('given', [serviceOf('a')])).toBe('given')
    expect(chooseSet('files', [serviceOf('a', { set: 'files' })])).toBe('files')
    expect(chooseSet(undefined, [serviceOf('a'), serviceOf('b', { set: 'files' })])).toBe('files')
    expect(chooseSet(undefined, [serviceOf('a')])).toBe('default')
  })

  test('is refused when the files name another one than --set, with the place of each', () => {
    const files = [serviceOf('a', { set: 'shop' }), serviceOf('b', { set: 'payments' })]
    expect(() => chooseSet('shop', files)).toThrow(
      expect.objectContaining({
        code: 'ERR_SERVICE_FILES',
        details: {
          problems: [
            expect.objectContaining({
              ...files[1]?.placeOf(['set']),
              message: 'the file names the set "payments", and --set names "shop"',
            }),
          ],
        },
      }),
    )
  })

  test.each(['', '-a', 'a-', 'a b', 'ä', 'a/b', 'a'.repeat(64)])('cannot be named "%s"', (name) => {
    expect(() => chooseSet(name, [])).toThrow(`"${name}" is not the name of a set`)
  })
})
