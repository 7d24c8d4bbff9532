import { describe, expect, test } from 'vitest'
import { KyconnectError } from '../../../src/errors.js'
import { draftService, type DraftSource } from '../../../src/registry/files/draft.js'
import { schemaReference } from '../../../src/registry/files/schema-comment.js'
import { useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()

const draft = (text: string, more: Partial<DraftSource> = {}): ReturnType<typeof draftService> =>
  draftService({ text, fileName: 'orders.openapi.yaml', schema: './schema.json', ...more })

async function errorOf(text: string, more?: Partial<DraftSource>): Promise<KyconnectError> {
  const error = await draft(text, more).then(undefined, (thrown: unknown) => thrown)
  if (!(error instanceof KyconnectError)) throw new Error('it does not fail')
  return error
}

async function targetUrlOf(text: string, more?: Partial<DraftSource>): Promise<string | undefined> {
  return /^ {2}targetUrl: (.*)$/m.exec((await draft(text, more)).text)?.[1]
}

describe('a service file for a specification', () => {
  test('has what OpenAPI says, and applies as it is', async () => {
    const openapi = `openapi: 3.0.0
info:
  title: Bestellungen & Aufträge
  description: |
    All orders.

    Since 2019.
  contact: { name: ACME Ltd. }
servers:
  - url: /relative
  - url: https://orders.example/v1
  - url: https://second.example
paths: {}
`
    const { identifier, text } = await draft(openapi)
    expect(identifier).toBe('bestellungen-auftrage')
    expect(text).toBe(`# yaml-language-server: $schema=./schema.json
identifier: bestellungen-auftrage
name: "Bestellungen & Aufträge"
provider: ACME Ltd.
description: |
  All orders.

  Since 2019.
api:
  targetUrl: https://orders.example/v1
  spec: ./orders.openapi.yaml
`)
    folder.write({ 'orders.openapi.yaml': openapi, 'orders.yaml': text })
    const services = await folder.read()
    expect(services.map((service) => service.identifier)).toEqual([identifier])
  })

  test('has events for AsyncAPI', async () => {
    const asyncapi = '{"asyncapi": "2.0.0", "info": {"title": "Order events", "version": "1"}, "channels": {}}'
    const { text } = await draft(asyncapi, { fileName: 'events.json' })
    expect(text).toBe(`# yaml-language-server: $schema=./schema.json
identifier: order-events
name: Order events
provider: Order events
description: Order events
events:
  spec: ./events.json
`)
    folder.write({ 'events.json': asyncapi, 'service.yaml': text })
    expect(await folder.problems()).toEqual([])
  })

  test.each([
    [
      '{"swagger": "2.0", "host": "orders.example", "basePath": "/v1", "schemes": ["http", "https"]}',
      'https://orders.example/v1',
    ],
    [
      '{"swagger": "2.0", "host": "orders.example:8080", "basePath": "/", "schemes": ["http"]}',
      'http://orders.example:8080',
    ],
    ['{"swagger": "2.0", "host": "orders.example"}', 'https://orders.example'],
    [
      '{"openapi": "3.0.0", "servers": [{"url": "https://{region}.example/{v}", "variables": {"region": {"default": "eu"}, "v": {"default": "v2"}}}]}',
      'https://eu.example/v2',
    ],
    [
      '{"openapi": "3.0.0", "servers": [{"url": "not a url"}, {}, "x", {"url": "https://a.example/"}]}',
      'https://a.example/',
    ],
  ])('has the target URL that is in %s', async (text, url) => {
    expect(await targetUrlOf(text, { fileName: 'api.json' })).toBe(url)
  })

  test('resolves relative servers against the URL that the document came from', async () => {
    const url = new URL('https://orders.example:8443/docs/api.json')
    const at = (text: string): Promise<string | undefined> => targetUrlOf(text, { fileName: 'api.json', url })
    expect(await at('{"openapi": "3.0.0", "servers": [{"url": "/v1"}]}')).toBe('https://orders.example:8443/v1')
    expect(await at('{"openapi": "3.0.0", "servers": [{"url": "../v1"}]}')).toBe('https://orders.example:8443/v1')
    expect(await at('{"swagger": "2.0", "basePath": "/v1"}')).toBe('https://orders.example:8443/v1')
  })

  test.each([
    ['{"openapi": "3.0.0"}'],
    ['{"openapi": "3.0.0", "servers": [{"url": "/v1"}]}'],
    ['{"openapi": "3.0.0", "servers": [{"url": "https://{host}/v1"}]}'],
    ['{"openapi": "3.0.0", "servers": [{"url": "https://a.example/{version}"}]}'],
    ['{"openapi": "3.0.0", "servers": "x"}'],
    ['{"swagger": "2.0", "basePath": "/v1"}'],
    ['{"swagger": "2.0", "host": "a b"}'],
  ])('asks for the target URL where there is none: %s', async (text) => {
    const { code, message, hints } = await errorOf(text, { fileName: 'api.json' })
    expect([code, message]).toEqual(['ERR_USAGE', 'api.json does not name the server of the API with an absolute URL'])
    expect(hints.join()).toContain('--target-url')
    expect(await targetUrlOf(text, { fileName: 'api.json', targetUrl: 'https://given.example' })).toBe(
      'https://given.example',
    )
  })

  test('a target URL that the Registry would refuse is refused', async () => {
    expect((await errorOf('openapi: 3.0.0', { targetUrl: 'x y' })).message).toBe(
      'the target URL is not a URL that the Registry accepts',
    )
  })

  test('a title that says nothing falls back to the name of the file', async () => {
    const { identifier, text } = await draft(
      'openapi: 3.0.0\ninfo: { title: " ", description: 5 }\nservers: [{ url: https://a.example }]\n',
    )
    expect(identifier).toBe('orders')
    expect(text).toContain('name: orders\nprovider: orders\ndescription: orders\n')
    expect(
      (await draft('openapi: 3.0.0\ninfo: { title: 注文 }\nservers: [{ url: https://a.example }]\n')).identifier,
    ).toBe('service')
  })

  test('a text that is not a specification is refused', async () => {
    const message = 'orders.openapi.yaml is not a specification: it has none of openapi, swagger and asyncapi'
    for (const text of [
      '',
      'a: b',
      '- a',
      '<?xml version="1.0"?><edmx:Edmx/>',
      'openapi: 3.0.0\n---\nopenapi: 3.0.0\n',
    ]) {
      expect((await errorOf(text)).message).toBe(message)
    }
    const { code, details } = await errorOf('openapi: 3.0.0\nx: 12345678901234567890\n')
    expect(code).toBe('ERR_SERVICE_FILES')
    expect(details).toMatchObject({ problems: [{ file: 'orders.openapi.yaml', line: 2, column: 4 }] })
    expect((await errorOf('openapi: [\n')).code).toBe('ERR_SERVICE_FILES')
  })
})

test('no comment is written where there is no schema to name', async () => {
  const { text } = await draft('asyncapi: 2.0.0\n', { schema: undefined })
  expect(text).toMatch(/^identifier: /)
})

describe('the schema that a service file names', () => {
  test('is relative where kyconnect is installed in the project, and not named otherwise', () => {
    const local = '/repo/node_modules/kyconnect/schema/service.schema.json'
    expect(schemaReference(local, '/repo/services/orders.yaml')).toBe(
      '../node_modules/kyconnect/schema/service.schema.json',
    )
    expect(schemaReference(local, '/repo/orders.yaml')).toBe('node_modules/kyconnect/schema/service.schema.json')
    expect(schemaReference(local, '/elsewhere/orders.yaml')).toBeUndefined()
    const global = '/usr/lib/node_modules/kyconnect/schema/service.schema.json'
    expect(schemaReference(global, '/repo/orders.yaml')).toBeUndefined()
    expect(schemaReference('/src/kyconnect/schema/service.schema.json', '/repo/orders.yaml')).toBeUndefined()
  })
})
