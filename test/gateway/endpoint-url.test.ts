import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KyconnectError } from '../../src/errors.js'
import { type Endpoint, endpointUrl, isEndpoint } from '../../src/gateway/endpoint-url.js'
import { calledUrls } from '../../src/gateway/gateway.js'
import type { Identity } from '../../src/identity/identity.js'
import { plainChoice } from '../support/identities.js'

const urls = {
  infoUrl: 'https://gateway.kyma.local/v1/applications/management/info',
  metadataUrl: 'https://gateway.kyma.local/demo/v1/metadata/services',
  eventsUrl: 'https://gateway.kyma.local/demo/v1/events',
}
const identity = (more: Partial<Identity['metadata']> = {}): Identity => ({
  metadata: {
    profile: 'demo',
    app: 'demo',
    commonName: 'demo',
    subject: 'CN=demo',
    fingerprint: '00',
    notBefore: new Date(0),
    notAfter: new Date(0),
    gatewayHost: 'gateway.kyma.local',
    acceptedHosts: [],
    connectorHost: 'connector-service.kyma.local',
    urls,
    route: { nodePort: 30443, resolve: [], serverCa: null, proxy: null },
    insecure: false,
    pairedAt: new Date(0),
    obtainedAt: new Date(0),
    revokedAt: null,
    rejectedAt: null,
    hookPending: false,
    ...more,
  },
  material: { key: '', leaf: '', chain: '', ca: '' },
  directory: '/nowhere',
})

function urlOf(endpoint: Endpoint, path: string): string {
  try {
    return endpointUrl(identity().metadata, endpoint, path).href
  } catch (error) {
    if (error instanceof KyconnectError) return error.code
    throw error
  }
}

describe('a path given to call', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '..',
      '.',
      '/',
      '//',
      '\\',
      '%2e',
      '%2E%2e',
      '%2f',
      '%5c',
      '@',
      ':',
      '?',
      '#',
      'https://evil.example',
      ';',
      '\t',
      ' ',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
  )

  test('never leaves its endpoint, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
        fc.constantFrom('metadata', 'events', 'info'),
        (path, endpoint) => {
          const href = urlOf(endpoint, path)
          if (href === 'ERR_USAGE') return
          const url = new URL(href)
          const base = new URL({ metadata: urls.metadataUrl, events: urls.eventsUrl, info: urls.infoUrl }[endpoint])
          expect([url.origin, url.username, url.password]).toEqual([base.origin, '', ''])
          expect(url.pathname === base.pathname || url.pathname.startsWith(`${base.pathname}/`), href).toBe(true)
          expect(decodeURIComponentSafely(url.pathname).split(/[\\/]/)).not.toContain('..')
        },
      ),
      { numRuns: 5000 },
    )
  })

  test.each<[Endpoint, string, string]>([
    ['metadata', '', urls.metadataUrl],
    ['metadata', '/', `${urls.metadataUrl}/`],
    ['metadata', '/4711', `${urls.metadataUrl}/4711`],
    ['metadata', '4711', `${urls.metadataUrl}/4711`],
    ['metadata', '?a=b&c=%20d', `${urls.metadataUrl}?a=b&c=%20d`],
    ['metadata', '/4711?a=b?c', `${urls.metadataUrl}/4711?a=b?c`],
    ['events', '/subscribed', `${urls.eventsUrl}/subscribed`],
    ['info', '', urls.infoUrl],
    ['metadata', '/a b', 'ERR_USAGE'],
    ['metadata', '/../../other/v1/events', 'ERR_USAGE'],
    ['metadata', '/%2e%2e/x', 'ERR_USAGE'],
    ['metadata', '/..%2fx', 'ERR_USAGE'],
    ['metadata', '/x#y', 'ERR_USAGE'],
    ['metadata', '\\\\evil.example', 'ERR_USAGE'],
    ['metadata', '//evil.example/x', `${urls.metadataUrl}/evil.example/x`],
  ])('%s %j: %s', (endpoint, path, expected) => {
    expect(urlOf(endpoint, path)).toBe(expected)
  })

  test('cannot be called where no URL is known, and the error says what may help', () => {
    expect(() => endpointUrl(identity({ urls: {} }).metadata, 'events', '')).toThrow(/the App "demo" has no eventsUrl/)
  })
})

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

test('an endpoint is one of three, and nothing that an object happens to have', () => {
  expect(['metadata', 'events', 'info', 'renew', 'toString', '__proto__', ''].filter(isEndpoint)).toEqual([
    'metadata',
    'events',
    'info',
  ])
})

describe('the URLs as they are called', () => {
  const choice = plainChoice

  test('have the NodePort of the identity, or of this run, when they are of the gateway, and of no other host agreed to', () => {
    const mixed = {
      ...urls,
      eventsUrl: 'https://events.kyma.local/demo',
      renewCertUrl: 'https://elsewhere.example/renew',
    }
    const agreed = identity({ urls: mixed, acceptedHosts: ['events.kyma.local'] })
    expect(calledUrls(agreed, choice)).toEqual({
      infoUrl: 'https://gateway.kyma.local:30443/v1/applications/management/info',
      metadataUrl: 'https://gateway.kyma.local:30443/demo/v1/metadata/services',
      eventsUrl: 'https://events.kyma.local/demo',
      renewCertUrl: 'https://elsewhere.example/renew',
    })
    expect(calledUrls(agreed, { ...choice, nodePort: 31000 })['infoUrl']).toContain('gateway.kyma.local:31000/')
  })
})
