import { describe, expect, test } from 'vitest'
import { RawJson, SecretReference } from '../../../src/registry/content.js'
import { formatServiceFile } from '../../../src/registry/files/service-file-text.js'
import { exchanges } from '../../support/golden.js'
import { useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()

const format = (details: object, baseName = 'orders'): readonly { name: string; text: string }[] =>
  formatServiceFile(details, { baseName, schema: './schema.json' }).files

const answer = (name: string): object => {
  const parsed: unknown = JSON.parse(exchanges.get(name)?.response.body ?? '')
  return typeof parsed === 'object' && parsed !== null ? parsed : {}
}

describe('the service file of a registered service', () => {
  test('has its fields, its specification beside it, and references for its secrets', () => {
    const details = {
      ...answer('registry-get-basic'),
      identifier: 'orders-1',
      labels: { 'connected-app': 'demo', 'kyconnect-set': 'shop', 'kyconnect-content': 'v1.s.abc', team: 'a' },
    }
    expect(format(details)).toEqual([
      {
        name: 'orders.yaml',
        text: `# yaml-language-server: $schema=./schema.json
set: shop
identifier: orders-1
name: basic
provider: SAP
description: Orders API
# The Registry does not return shortDescription: applying this file without it removes it.
labels:
  team: a
api:
  targetUrl: https://orders.example/v1
  credentials:
    basic:
      username: "\${env:KYCONNECT_SECRET_ORDERS_1_USERNAME}"
      password: "\${env:KYCONNECT_SECRET_ORDERS_1_PASSWORD}"
      csrfInfo:
        tokenEndpointURL: https://orders.example/csrf
`,
      },
    ])
  })

  test('keeps a specification as the Registry returned it', () => {
    const [service, spec] = format({
      ...answer('registry-get-openapi'),
      api: { targetUrl: 'https://a.example', spec: new RawJson('{"openapi":"3.0.0","x":12345678901234567890}') },
    })
    expect(service?.text).toContain('  spec: ./orders.openapi.json\n')
    expect(spec).toEqual({ name: 'orders.openapi.json', text: '{"openapi":"3.0.0","x":12345678901234567890}\n' })
  })

  const answers = [...exchanges.values()].filter(
    ({ name, request, response }) =>
      request.method === 'GET' && response.status === 200 && /^registry-(?:get|accepts|credentials)/.test(name),
  )
  test.each(answers.map(({ name }) => name))('applies as it is, and never has stars: %s', async (name) => {
    const files = format(answer(name))
    for (const { text } of files) expect(text).not.toContain('****')
    folder.write(Object.fromEntries(files.map((file) => [file.name, file.text])))
    const services = await folder.read()
    expect(services).toHaveLength(1)
    const [service] = services
    const stored = answer(name)
    expect(service?.content).toMatchObject(
      Object.fromEntries(
        Object.entries(stored).filter(([field]) => ['name', 'provider', 'description'].includes(field)),
      ),
    )
    const api: unknown = Reflect.get(stored, 'api')
    const spec: unknown = typeof api === 'object' && api !== null ? Reflect.get(api, 'spec') : undefined
    const read = service?.content['api']
    const readSpec = typeof read === 'object' && read !== null && 'spec' in read ? read['spec'] : undefined
    // A text is what the Registry fetched: it fetches it again.
    if (typeof spec === 'object') expect(readSpec instanceof RawJson && JSON.parse(readSpec.text)).toEqual(spec)
    else expect(readSpec).toBeUndefined()
  })

  test('says in comments what cannot be applied back', () => {
    expect(format(answer('registry-get-events'), 'ev')[0]?.text).toContain(
      '# The registered service has no identifier: applying this file registers a second service.\nidentifier: ev\n',
    )
    expect(format(answer('registry-get-swagger'))[0]?.text).toContain(
      '  # The Registry has replaced the host, the base path and the schemes of this document by those of its gateway.\n  spec: ./orders.openapi.json\n',
    )
    expect(format(answer('registry-get-certgen'))[0]?.text).toContain(
      '    # The Registry generates a key and a certificate: applying this file makes new ones.\n    certificateGen:\n      commonName: orders\n',
    )
    expect(format(answer('registry-get-odata'))[0]?.text).toContain(
      '  # The Registry fetched the specification, which is not JSON: it will fetch it again.\n',
    )
  })

  test('covers every field of the contract', async () => {
    const lists = { X: ['a', 'b'] }
    const details = {
      provider: 'ACME',
      name: 'Orders',
      description: 'Several\nlines\n',
      identifier: 'ä b/c',
      labels: { 'a b': 'no' },
      api: {
        targetUrl: 'https://a.example',
        apiType: 'OData',
        specificationUrl: 'https://a.example/api.json',
        spec: { $Version: '4.01' },
        credentials: { oauth: { url: 'https://auth.example', clientId: '********', clientSecret: '********' } },
        headers: lists,
        queryParameters: lists,
        requestParameters: { headers: lists, queryParameters: lists },
        specificationCredentials: { basic: { username: '********', password: '********' } },
        specificationRequestParameters: { headers: lists },
      },
      events: { spec: { asyncapi: '2.0.0' } },
      documentation: {
        displayName: 'd',
        description: 'e',
        type: 'f',
        tags: ['a', '5'],
        docs: [{ title: 'g', type: 'h', source: '# One\n\n    code\n' }],
      },
    }
    const files = format(details)
    folder.write(Object.fromEntries(files.map((file) => [file.name, file.text])))
    const [service] = await folder.read()
    expect(service?.labels).toEqual({ 'a b': 'no' })
    const reference = (name: string): string => `\${env:KYCONNECT_SECRET_B_C_${name}}`
    expect(JSON.parse(JSON.stringify(service?.content, wireValue))).toEqual({
      ...details,
      labels: undefined,
      api: {
        ...details.api,
        credentials: {
          oauth: {
            url: 'https://auth.example',
            clientId: reference('CLIENT_ID'),
            clientSecret: reference('CLIENT_SECRET'),
          },
        },
        specificationCredentials: {
          basic: { username: reference('SPECIFICATION_USERNAME'), password: reference('SPECIFICATION_PASSWORD') },
        },
      },
    })
  })
})

function wireValue(_: string, value: unknown): unknown {
  if (value instanceof RawJson) return JSON.parse(value.text)
  return value instanceof SecretReference ? value.text : value
}
