import { expect, test } from 'vitest'
import { UntrustedUrlError, UsageError } from '../../src/errors.js'
import type { Metadata } from '../../src/identity/identity.js'
import { callableUrl } from '../../src/live-identity/callable-url.js'

const metadata: Metadata = {
  profile: 'demo',
  app: 'demo',
  commonName: 'demo',
  subject: 'CN=demo',
  fingerprint: '00',
  notBefore: new Date(0),
  notAfter: new Date(1),
  gatewayHost: 'gateway.kyma.local',
  acceptedHosts: ['accepted.example'],
  connectorHost: 'connector-service.kyma.local',
  urls: {
    metadataUrl: 'https://gateway.kyma.local/demo/v1/metadata/services',
    eventsUrl: 'https://gateway.kyma.local/demo/v1/events',
    infoUrl: 'https://gateway.kyma.local/v1/applications/management/info',
  },
  route: { nodePort: null, resolve: [], serverCa: null, proxy: null },
  insecure: false,
  pairedAt: new Date(0),
  obtainedAt: new Date(0),
  revokedAt: null,
  rejectedAt: null,
  hookPending: false,
}

test.each([
  ['metadata', '/demo/v1/metadata/services'],
  ['metadata/4711', '/demo/v1/metadata/services/4711'],
  ['metadata?page=2', '/demo/v1/metadata/services?page=2'],
  ['events', '/demo/v1/events'],
  ['info', '/v1/applications/management/info'],
  ['/demo/v2/events', '/demo/v2/events'],
  ['https://gateway.kyma.local/x', '/x'],
  ['https://gateway.kyma.local:30443/x', ':30443/x'],
])('%s is called on the gateway', (text, rest) => {
  expect(callableUrl(metadata, text).href).toBe(`https://gateway.kyma.local${rest}`)
})

test('a Request, as it can be given to the global fetch, is refused with what to write instead', () => {
  const request: unknown = new Request('https://gateway.kyma.local/x')
  // Plain JavaScript has no types to prevent it.
  const given = request as URL
  expect(() => callableUrl(metadata, given)).toThrow(UsageError)
  expect(() => callableUrl(metadata, given)).toThrow('fetch takes a path or a URL')
})

test('a host that the user agreed to is called', () => {
  expect(callableUrl(metadata, new URL('https://accepted.example/x')).href).toBe('https://accepted.example/x')
})

test.each([
  'https://elsewhere.example/',
  'https://gateway.kyma.local.elsewhere.example/',
  'https://gateway.kyma.local@elsewhere.example/',
  '//elsewhere.example/x',
  '/\\elsewhere.example/x',
  'http://gateway.kyma.local/x',
  'file:///etc/passwd',
  'data:text/plain,x',
])('%s is refused: the client certificate is for the gateway', (text) => {
  expect(() => callableUrl(metadata, text)).toThrow(UntrustedUrlError)
})

test.each(['', 'services', 'metadata/../../x', 'metadatax', 'metadata/%2e%2e/x', 'https://'])(
  '%j is not a path',
  (text) => {
    expect(() => callableUrl(metadata, text)).toThrow(UsageError)
  },
)
