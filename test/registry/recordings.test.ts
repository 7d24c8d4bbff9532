import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { RegistryClient } from '../../src/registry/client.js'
import { type Content, RawJson, SecretReference } from '../../src/registry/content.js'
import { compareStored } from '../../src/registry/compare.js'
import type { DesiredService } from '../../src/registry/desired-service.js'
import { parseList } from '../../src/registry/listed-service.js'
import { parseRegistered, storedParts } from '../../src/registry/registered-service.js'
import { partsOf } from '../../src/registry/parts.js'
import { refusedFields } from '../../src/registry/refused-fields.js'
import { type Exchange, exchanges } from '../support/golden.js'
import { type Replay, startReplay } from '../support/replay.js'

/** What the running Registry answered, read by our code. */
const recordings = [...exchanges.values()].filter(({ name }) => /^registry(?:500)?-/.test(name))
const of = (name: string): Exchange => {
  const found = exchanges.get(name)
  if (found === undefined) throw new Error(`there is no recording ${name}`)
  return found
}
const host = 'gateway.kyma.local'
let replay: Replay
let client: RegistryClient

beforeAll(async () => {
  replay = await startReplay([host])
  const http = replay.http(host)
  const url = (_: unknown, path = ''): URL =>
    new URL(`https://${host}/demo/v1/metadata/services${path === '' ? '' : `/${path}`}`)
  client = new RegistryClient({ client: http, url, explain: (error) => error }, replay.redactor)
})
beforeEach(() => {
  replay.asked.length = 0
})
afterAll(() => replay.stop())

const id = '11111111-2222-4333-8444-555555555555'
/** Of a whole answer; some recorded bodies are cut. */
const isWhole = ({ response }: Exchange): boolean => response.bodyNote === undefined
const select = (method: string, status: (code: number) => boolean, path: RegExp): Exchange[] =>
  recordings.filter(
    (one) =>
      one.request.method === method &&
      status(one.response.status) &&
      path.test(new URL(one.request.url).pathname) &&
      isWhole(one),
  )
const onList = /\/services$/
const onOne = /\/services\/[^/]+$/

describe('the client reads what the Registry answered', () => {
  test.each(select('GET', (status) => status === 200, onList))('to a list: $name', async ({ response }) => {
    replay.answer = response
    const sent = JSON.parse(response.body ?? '') as { id: string; name: string; labels: object }[]
    const read = await client.list()
    expect(read.map((service) => ({ id: service.id, name: service.name, labels: service.labels }))).toEqual(
      sent.map((service) => ({ id: service.id, name: service.name, labels: service.labels })),
    )
  })

  test.each(select('GET', (status) => status === 200, onOne))('to a GET: $name', async ({ response }) => {
    replay.answer = response
    const read = await client.get(id)
    expect(read?.details).toEqual(JSON.parse(response.body ?? ''))
    expect(read).toMatchObject({ id, labels: { 'connected-app': expect.any(String) as string } })
  })

  test.each(select('POST', (status) => status === 200, onList))('to a POST: $name', async ({ response }) => {
    replay.answer = response
    const { id: created } = JSON.parse(response.body ?? '') as { id: string }
    expect(await client.create('{}')).toEqual({ outcome: 'created', id: created })
  })

  test.each(select('PUT', (status) => status === 200, onOne))('to a PUT: $name', async ({ response }) => {
    replay.answer = response
    expect(await client.replace(id, '{}')).toEqual({ outcome: 'replaced' })
  })

  test.each(select('DELETE', (status) => status === 204, onOne))('to a DELETE: $name', async ({ response }) => {
    replay.answer = response
    expect(await client.delete(id)).toEqual({ outcome: 'deleted' })
  })

  test.each(select('POST', (status) => status >= 400 && status !== 404 && status !== 405, onList))(
    'to a POST, a refusal with all its words: $name',
    async ({ response }) => {
      replay.answer = response
      const { error } = JSON.parse(response.body ?? '') as { error: string }
      expect(await client.create('{}')).toMatchObject({ outcome: 'refused', status: response.status, said: error })
      expect(replay.asked).toHaveLength(1)
    },
  )

  test('to a GET and a PUT of an unknown id: there is no such service', async () => {
    replay.answer = of('registry-get-unknown').response
    expect(await client.get(id)).toBeUndefined()
    replay.answer = of('registry-put-unknown').response
    expect(await client.replace(id, '{}')).toEqual({ outcome: 'unknown' })
  })

  test('to a list of an App that it does not know', async () => {
    replay.answer = of('registry-service-unknown-app').response
    await expect(client.list()).rejects.toMatchObject({ code: 'ERR_REQUEST_REFUSED', details: { status: 404 } })
  })

  test.each([
    '{}',
    'null',
    '[null]',
    '["x"]',
    '[{}]',
    '[{"id":""}]',
    '[{"id":"../services"}]',
    '[{"id":"a/b"}]',
    '[{"id":"."}]',
  ])('as a list, only what is one: %s is not', (body) => {
    expect(() => parseList(body, host)).toThrow(/the list of services from gateway\.kyma\.local cannot be used/)
  })
})

/** What a service file would have to say for this body; secrets are references. */
function desiredFrom(body: string): DesiredService {
  const secrets = new Set(['username', 'password', 'clientId', 'clientSecret'])
  const toContent = (value: unknown, path: readonly string[]): Content => {
    if (path.at(-1) === 'spec') return new RawJson(JSON.stringify(value))
    if (typeof value === 'string' && secrets.has(path.at(-1) ?? ''))
      return new SecretReference({ kind: 'environment', variable: value }, value)
    if (Array.isArray(value)) return value.map((item: unknown) => toContent(item, path))
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(
        Object.entries(value).map(([name, item]: [string, unknown]) => [name, toContent(item, [...path, name])]),
      )
    return value as Content
  }
  const parsed: unknown = JSON.parse(body)
  const { labels, ...content } = toContent(parsed, []) as Record<string, Content>
  const place = { file: 'a.yaml', line: 1, column: 1 }
  const given = { ...(labels as Record<string, string> | undefined) }
  delete given['connected-app']
  return { identifier: 'a', name: '', set: undefined, labels: given, content, place, placeOf: () => place }
}

/** What was sent, and what was read back from the same Registry. */
const pairs: [string, string][] = [
  ['registry-create-openapi', 'registry-get-openapi'],
  ['registry-create-swagger', 'registry-get-swagger'],
  ['registry-create-swagger-full', 'registry-get-swagger-full'],
  ['registry-create-swagger-null', 'registry-get-swagger-null'],
  ['registry-create-swagger-number', 'registry-get-swagger-number'],
  ['registry-create-swagger-unknown-keys', 'registry-get-swagger-unknown-keys'],
  ['registry-create-events', 'registry-get-events'],
  ['registry-create-both', 'registry-get-both'],
  ['registry-create-basic', 'registry-get-basic'],
  ['registry-create-oauth', 'registry-get-oauth'],
  ['registry-create-certgen', 'registry-get-certgen'],
  ['registry-create-certgen-no-cn', 'registry-get-certgen-no-cn'],
  ['registry-create-api-no-spec', 'registry-get-api-no-spec'],
  ['registry-create-credentials-empty', 'registry-get-credentials-empty'],
  ['registry-create-spec-empty-object', 'registry-get-spec-empty-object'],
  ['registry-create-spec-null', 'registry-get-spec-null'],
  ['registry-create-odata', 'registry-get-odata'],
  ['registry-create-odata-json', 'registry-get-odata-json'],
  ['registry-create-specurl', 'registry-get-specurl'],
  ['registry-create-specurl-yaml', 'registry-get-specurl-yaml'],
  ['registry-create-nonascii', 'registry-get-nonascii'],
  ['registry-create-unknown-fields', 'registry-get-unknown-fields'],
  ['registry-put-ok', 'registry-get-after-put'],
  ['registry-put-events-only', 'registry-get-after-put-events-only'],
  ['registry-put-no-credentials', 'registry-get-after-put-no-credentials'],
  ['registry-put-api-with-spec-only', 'registry-get-after-put-api-with-spec-only'],
  ...recordings
    .filter(({ name, response }) => /^registry-accepts-.*-get$/.test(name) && response.status === 200)
    .map(({ name }): [string, string] => [name.replace(/-get$/, ''), name]),
]
const readBack = (name: string): NonNullable<ReturnType<typeof parseRegistered>> => {
  const found = parseRegistered(of(name).response.body ?? '', id)
  if (found === undefined) throw new Error(`${name} is not a service`)
  return found
}

describe('what was sent and what is read back', () => {
  test.each(pairs)('are the same service: %s', (sent, got) => {
    const service = desiredFrom(of(sent).request.body ?? '')
    const registered = readBack(got)
    // An answer that was cut cannot be read.
    expect(isWhole(of(got))).toBe(true)
    const differences = compareStored(service, { ...registered, labels: {} })
    const labels = Object.keys(service.labels).map((label) => ({ path: ['labels', label], kind: 'missing' }))
    expect(differences.map(({ path, kind }) => ({ path, kind }))).toEqual(labels)
    expect(compareStored(service, registered)).toEqual([])
  })

  test.each(pairs)('have the same parts: %s', (sent, got) => {
    expect(storedParts(readBack(got))).toEqual(partsOf(desiredFrom(of(sent).request.body ?? '')))
  })

  test.each<[string, string, string[]]>([
    [
      'registry-put-api-only-no-spec',
      'registry-get-after-put-api-only-no-spec',
      ['unexpected api.spec', 'unexpected events', 'unexpected documentation'],
    ],
    ['registry-credentials-switch-2', 'registry-credentials-switch-2-get', ['unexpected api.spec']],
    ['registry-put-no-spec', 'registry-get-after-put-no-spec', ['unexpected api.spec']],
  ])('differ where a PUT has kept the parts: %s', (sent, got, differences) => {
    const service = desiredFrom(of(sent).request.body ?? '')
    const found = compareStored(service, readBack(got))
    expect(found.map(({ path, kind }) => `${kind} ${path.join('.')}`)).toEqual(differences)
  })
})

describe('every recorded refusal names the fields that it is about', () => {
  test.each<[string, string[]]>([
    ['all-missing', ['provider', 'name', 'description']],
    ['api-empty', ['api.targetUrl']],
    ['api-string', ['api']],
    ['basic-empty', ['api.credentials.basic.username', 'api.credentials.basic.password']],
    ['bom', ['']],
    ['documentation-empty', ['documentation.displayName', 'documentation.description', 'documentation.type']],
    ['documentation-no-type', ['documentation.type']],
    ['empty-body', ['']],
    ['events-no-spec', ['events.spec']],
    ['events-null', ['']],
    ['events-spec-array', ['events.spec']],
    ['labels-number', ['labels']],
    ['name-number', ['name']],
    ['no-api-no-events', ['']],
    ['no-description', ['description']],
    ['no-name', ['name']],
    ['no-provider', ['provider']],
    ['not-object', ['']],
    ['null-body', ['provider', 'name', 'description']],
    ['oauth-bad-url', ['api.credentials.oauth.url']],
    ['spec-array', ['api.spec']],
    ['spec-string', ['api.spec']],
    ['tags-string', ['documentation.tags']],
    ['targeturl-bad', ['api.targetUrl']],
    ['targeturl-number', ['api.targetUrl']],
    ['two-errors', ['name', 'api.targetUrl', 'api.credentials.basic.username', 'api.credentials.basic.password']],
    ['yaml-body', ['']],
  ])('%s', (name, paths) => {
    const { request, response } = of(`registry-400-${name}`)
    const { error } = JSON.parse(response.body ?? '') as { error: string }
    let service: DesiredService
    try {
      service = desiredFrom(request.body ?? '')
    } catch {
      service = desiredFrom('{}')
    }
    const found = refusedFields(error, response.status, service)
    expect(found.map(({ path }) => path.join('.'))).toEqual(paths)
    expect(found.every(({ text }) => error.includes(text) && text !== '')).toBe(true)
  })

  test('none is left out', () => {
    expect(recordings.filter(({ name }) => name.startsWith('registry-400-'))).toHaveLength(27)
  })

  test.each<[string, string]>([
    ['registry-create-duplicate-identifier', 'identifier'],
    ['registry-create-specurl-404', 'api.specificationUrl'],
    ['registry-create-specurl-bad', 'api.specificationUrl'],
    ['registry-create-specurl-refused', 'api.specificationUrl'],
  ])('%s', (name, path) => {
    const { request, response } = of(name)
    const { error } = JSON.parse(response.body ?? '') as { error: string }
    const found = refusedFields(error, response.status, desiredFrom(request.body ?? ''))
    expect(found).toEqual([{ path: path.split('.'), text: error }])
  })

  test('of an OData service without a spec: the target, below which it is fetched', () => {
    const { body = '' } = of('registry-create-odata').request
    expect(refusedFields('x', 502, desiredFrom(body))).toEqual([{ path: ['api', 'targetUrl'], text: 'x' }])
  })

  test('a value with semicolons stays whole, and a csrfInfo is found below its kind of credentials', () => {
    const said =
      'Failed to validate request body, Incorrect structure of service definition, ' +
      'targetUrl: a;b c;d does not validate as url;tokenEndpointURL: x y does not validate as url'
    const service = desiredFrom('{"api":{"credentials":{"certificateGen":{"commonName":"a"}}}}')
    expect(refusedFields(said, 400, service)).toEqual([
      { path: ['api', 'targetUrl'], text: 'targetUrl: a;b c;d does not validate as url' },
      {
        path: ['api', 'credentials', 'certificateGen', 'csrfInfo', 'tokenEndpointURL'],
        text: 'tokenEndpointURL: x y does not validate as url',
      },
    ])
  })

  test('a hostile text takes linear time', () => {
    const said = `Incorrect structure of service definition, ${';'.repeat(500_000)}`
    const started = performance.now()
    expect(refusedFields(said, 400, desiredFrom('{}'))).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
