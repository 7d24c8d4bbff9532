import { describe, expect, test } from 'vitest'
import { RawJson, SecretReference } from '../../../src/registry/content.js'
import { isAcceptedUrl } from '../../../src/registry/files/service-url.js'
import { exchanges } from '../../support/golden.js'
import { asServiceFile } from './as-service-file.js'
import { useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()

const bodyOf = (name: string): string => exchanges.get(name)?.request.body ?? ''

async function problemsOf(name: string): Promise<readonly string[]> {
  folder.write({ 's.json': asServiceFile(JSON.parse(bodyOf(name)), name) })
  return (await folder.problems(['s.json'])).map((problem) => problem.replace(/^s\.json:\d+:\d+: /, ''))
}

/** About the bytes of a body, and not about a definition. */
const aboutBytes = ['registry-400-bom', 'registry-400-empty-body', 'registry-400-yaml-body', 'registry-400-null-body']

describe('each definition that the Registry refused in the recordings is refused with the field', () => {
  const refusals: Record<string, readonly string[]> = {
    'registry-400-all-missing': [
      'name is missing',
      'provider is missing',
      'description is missing',
      'a service needs api, events or both, and has neither',
    ],
    'registry-400-api-empty': ['api.targetUrl is missing'],
    'registry-400-api-string': ['api must be a mapping, not text'],
    'registry-400-basic-empty': [
      'api.credentials.basic.username is missing',
      'api.credentials.basic.password is missing',
    ],
    'registry-400-documentation-empty': [
      'documentation.displayName is missing',
      'documentation.description is missing',
      'documentation.type is missing',
    ],
    'registry-400-documentation-no-type': ['documentation.type is missing'],
    'registry-400-events-no-spec': ['events.spec is missing'],
    'registry-400-events-null': ['events must be a mapping, and is empty'],
    'registry-400-events-spec-array': ['events.spec must be a mapping or the path of a file, not a list'],
    'registry-400-labels-number': ['labels.a must be text, not a number; quote it'],
    'registry-400-name-number': ['name must be text, not a number; quote it'],
    'registry-400-no-api-no-events': ['a service needs api, events or both, and has neither'],
    'registry-400-no-description': ['description is missing'],
    'registry-400-no-name': ['name is missing'],
    'registry-400-no-provider': ['provider is missing'],
    'registry-400-not-object': ['a service must be a mapping, not a list'],
    'registry-400-oauth-bad-url': ['api.credentials.oauth.url is not a URL that the Registry accepts'],
    'registry-400-spec-array': ['api.spec must be a mapping or the path of a file, not a list'],
    // A text is the path of a file.
    'registry-400-spec-string': ['the file of api.spec cannot be used: it does not exist'],
    'registry-400-tags-string': ['documentation.tags must be a list, not text'],
    'registry-400-targeturl-bad': ['api.targetUrl is not a URL that the Registry accepts'],
    'registry-400-targeturl-number': ['api.targetUrl must be text, not a number; quote it'],
    'registry-400-two-errors': [
      'name is missing',
      'api.targetUrl is not a URL that the Registry accepts',
      'api.credentials.basic.username is missing',
      'api.credentials.basic.password is missing',
    ],
    'registry-put-invalid': ['name is missing'],
    'registry-put-back-odata-xml': [
      'labels.connected-app is reserved for the Registry',
      'the file of api.spec cannot be used: it does not exist',
    ],
    'registry-create-specurl-bad': [
      'api.specificationUrl is not an http or https URL, so the Registry cannot fetch it',
    ],
  }
  test.each(Object.entries(refusals))('%s', async (name, problems) => {
    expect(exchanges.get(name)?.response.status).toBeGreaterThanOrEqual(400)
    expect([...(await problemsOf(name))].sort()).toEqual([...problems].sort())
  })

  test('no recorded refusal of a definition is left out', () => {
    const recorded = [...exchanges.keys()].filter((name) => name.startsWith('registry-400-'))
    expect(recorded.filter((name) => !(name in refusals) && !aboutBytes.includes(name))).toEqual([])
  })
})

describe('each definition that the Registry accepted in the recordings is accepted', () => {
  /** What kyconnect refuses on purpose, because the Registry drops it without a word, or keeps the label for itself. */
  const refusedOnPurpose: Record<string, readonly string[]> = {
    'registry-create-credentials-empty': ['api.credentials is empty: give basic, oauth or certificateGen'],
    'registry-create-certgen-no-cn': ['api.credentials.certificateGen.commonName is missing'],
    'registry-create-unknown-fields': ['foo is not a field of a service'],
    'registry-create-openapi': ['labels.connected-app is reserved for the Registry'],
  }
  const accepted = [...exchanges.values()].filter(
    ({ name, request, response }) =>
      /^registry-(?:accepts|create)-/.test(name) && request.method === 'POST' && response.status === 200,
  )
  test.each(accepted.map(({ name }) => name))('%s', async (name) => {
    expect(await problemsOf(name)).toEqual(refusedOnPurpose[name] ?? [])
  })

  test('with the same contents', async () => {
    for (const { name, request } of accepted.filter(({ name: one }) => !(one in refusedOnPurpose))) {
      const body: unknown = JSON.parse(request.body ?? '')
      folder.write({ 's.json': asServiceFile(body, name) })
      const [service] = await folder.read(['s.json'])
      expect(JSON.parse(JSON.stringify({ labels: service?.labels, ...service?.content }, wireValue))).toEqual(
        JSON.parse(JSON.stringify({ identifier: name, labels: {}, ...Object(body) }, secretsHidden)),
      )
    }
  })
})

function wireValue(_: string, value: unknown): unknown {
  if (value instanceof RawJson) return JSON.parse(value.text)
  return value instanceof SecretReference ? 'secret' : value
}

function secretsHidden(name: string, value: unknown): unknown {
  return ['username', 'password', 'clientId', 'clientSecret'].includes(name) ? 'secret' : value
}

describe('a URL', () => {
  test.each([
    ['https://a.example', true],
    ['a.bc', true],
    ['orders.example/v1', true],
    ['localhost:80', true],
    ['http://localhost', true],
    ['http://orders:8080', true],
    ['https://my_host.example/', true],
    ['http://10.0.0.1:8443/x', true],
    ['http://[::1]:80/x', true],
    ['mailto:a@b.c', true],
    ['ftp://orders.example/v1', true],
    ['https://a.example#x', true],
    ['https://a.example/x?y=1#z', true],
    ['https://a.example/x?y=%zz', true],
    ['https://a.example/%C3%A9', true],
    ['https://bücher.example/注文', true],
    ['https://a.example.', true],
    ['https://a.b/'.padEnd(2082, 'x'), true],
    ['https://a.b/'.padEnd(2083, 'x'), false],
    ['', false],
    ['a.b', false],
    ['localhost', false],
    ['a/b', false],
    ['http://', false],
    ['http:///x', false],
    ['https://?x', false],
    ['.a.b', false],
    ['a.b:123456', false],
    ['https://a.example:x/', false],
    ['https://a b', false],
    ['https://a.b/x y', false],
    ['https://a.b/x\ty', false],
    ['https://a.b/x\u0000y', false],
    ['https://-', false],
    ['not a url', false],
    ['%zz', false],
    ['https://a.example/%zz', false],
    ['https://a.example/%', false],
    ['https://a.example/x#%zz', false],
    ['https://%zz.example/', false],
    ['http://127.1', false],
    ['http://127.1/x', false],
    ['http://1.2.3.256', false],
    ['gopher://a.example', false],
  ])('%s is accepted: %s', (text, expected) => {
    expect(isAcceptedUrl(text)).toBe(expected)
  })

  test('is checked in linear time', () => {
    const started = performance.now()
    for (const part of ['a', 'a.', 'a-', '-', '.', '@', ':', '1', '%', '/', '[', '_', '#%'])
      isAcceptedUrl(part.repeat(1000))
    for (const part of ['a', '1', ':', '@', '/']) isAcceptedUrl(part.repeat(5_000_000))
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
