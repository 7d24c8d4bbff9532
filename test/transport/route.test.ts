import { isIPv4 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noProxy } from '../../src/transport/proxy.js'
import {
  formatResolveRule,
  resolveTarget,
  parseResolveRule,
  type ResolveRule,
  type Route,
} from '../../src/transport/route.js'

const route = (more: Partial<Route> = {}): Route => ({
  nodePort: 30443,
  gatewayHost: 'gateway.kyma.local',
  resolve: [],
  trust: { ca: null, caOnly: false, rootFiles: [], systemRootFiles: [], insecure: false },
  clientCertificate: null,
  certificateHosts: [],
  proxy: noProxy,
  timeoutMs: 1000,
  connections: 1,
  ...more,
})

const port = fc.integer({ min: 1, max: 65535 })
const host = fc.domain()
const path = fc.webPath()
/** As tokens are: no character of it may be encoded anew. */
const query = fc
  .base64String({ minLength: 4, maxLength: 88 })
  .map((text) => `?token=${text.replace(/\+/g, '-').replace(/\//g, '_')}`)

describe('a URL as it is called', () => {
  test('has the NodePort when its host is the gateway, and is the same otherwise', () => {
    fc.assert(
      fc.property(host, host, path, query, port, (gatewayHost, another, where, what, nodePort) => {
        fc.pre(gatewayHost.toLowerCase() !== another.toLowerCase())
        const chosen = route({ gatewayHost: gatewayHost.toLowerCase(), nodePort })
        const gateway = new URL(`https://${gatewayHost}${where}${what}`)
        const called = resolveTarget(chosen, gateway)
        expect(called.port).toBe(nodePort)
        expect(called.url.hostname).toBe(gateway.hostname)
        expect(called.url.pathname + called.url.search).toBe(gateway.pathname + gateway.search)
        expect(called.url.search).toBe(what)
        const other = new URL(`https://${another}${where}${what}`)
        expect(resolveTarget(chosen, other).url.href).toBe(other.href)
        expect(gateway.port).toBe('')
      }),
    )
  })

  test('replaces a port that a URL of the gateway names, and leaves every URL alone when there is no NodePort', () => {
    const url = new URL('https://gateway.kyma.local:8443/demo/v1/events')
    expect(resolveTarget(route(), url).url.href).toBe('https://gateway.kyma.local:30443/demo/v1/events')
    expect(resolveTarget(route({ nodePort: null }), url).url.href).toBe(url.href)
    expect(resolveTarget(route({ nodePort: 443 }), url).url.href).toBe('https://gateway.kyma.local/demo/v1/events')
  })

  test.each([
    ['connector-service.kyma.local', 'its neighbour'],
    ['gateway.kyma.local.evil.example', 'what begins like it'],
    ['evil-gateway.kyma.local', 'what ends like it'],
    ['gateway.kyma.local.', 'the same with a dot behind'],
  ])('is not changed for %s, %s', (name) => {
    expect(resolveTarget(route(), new URL(`https://${name}/x`)).port).toBe(443)
  })
})

describe('a rule', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6())
  const rule: fc.Arbitrary<ResolveRule> = fc.record({
    host: fc
      .oneof(
        host,
        host.map((name) => `*.${name}`),
        fc.ipV4(),
      )
      .map((name) => name.toLowerCase()),
    port: fc.option(port),
    address,
  })

  test('reads back as it was written', () => {
    fc.assert(
      fc.property(rule, (written) => {
        expect(parseResolveRule(formatResolveRule(written))).toEqual(written)
      }),
    )
  })

  test('changes where the socket goes, and neither URL nor server name', () => {
    fc.assert(
      fc.property(host, port, address, (name, at, to) => {
        const url = new URL(`https://${name}:${at}/`)
        const found = resolveTarget(route({ resolve: [{ host: url.hostname, port: at, address: to }] }), url)
        expect([found.address, found.port, found.serverName, found.url.href]).toEqual([to, at, url.hostname, url.href])
      }),
    )
  })

  test.each([
    ['a.b:443:1.2.3.4', 'https://a.b/', '1.2.3.4'],
    ['a.b:443:1.2.3.4', 'https://A.B/', '1.2.3.4'],
    ['A.b:443:1.2.3.4', 'https://a.b/', '1.2.3.4'],
    ['a.b:8443:1.2.3.4', 'https://a.b/', 'a.b'],
    ['a.b:*:1.2.3.4', 'https://a.b:8443/', '1.2.3.4'],
    ['*.kyma.local:*:::1', 'https://gateway.kyma.local/', undefined],
    ['*.kyma.local:*:[::1]', 'https://gateway.kyma.local/', '::1'],
    ['*.kyma.local:*:1.2.3.4', 'https://a.b.kyma.local/', '1.2.3.4'],
    ['*.kyma.local:*:1.2.3.4', 'https://kyma.local/', 'kyma.local'],
    ['*.kyma.local:*:1.2.3.4', 'https://notkyma.local/', 'notkyma.local'],
    ['[::1]:443:[::2]', 'https://[::1]/', '::2'],
    ['gateway.kyma.local:30443:1.2.3.4', 'https://gateway.kyma.local/', '1.2.3.4'],
    ['gateway.kyma.local:443:1.2.3.4', 'https://gateway.kyma.local/', 'gateway.kyma.local'],
  ])('%s for %s', (text, url, expected) => {
    const parsed = parseResolveRule(text)
    expect(parsed && resolveTarget(route({ resolve: [parsed] }), new URL(url)).address).toBe(expected)
  })

  test('that comes first counts', () => {
    const rules = ['a.b:443:1.1.1.1', '*.b:*:2.2.2.2', 'a.b:443:3.3.3.3'].map(parseResolveRule)
    const resolve = rules.filter((found) => found !== undefined)
    expect(resolveTarget(route({ resolve }), new URL('https://a.b/')).address).toBe('1.1.1.1')
    expect(resolveTarget(route({ resolve }), new URL('https://c.b/')).address).toBe('2.2.2.2')
  })

  test.each([
    '',
    'a.b',
    'a.b:443',
    'a.b:443:',
    ':443:1.2.3.4',
    'a.b:0:1.2.3.4',
    'a.b:65536:1.2.3.4',
    'a.b:x:1.2.3.4',
    'a.b:443:host.name',
    'a.b:443:1.2.3.4,5.6.7.8',
    'a.b:443:999.1.1.1',
    'a.b:443:::1',
    'a.b:443:[1.2.3.4]',
    'a.b:443:[::1',
    '*:443:1.2.3.4',
    'a.*.b:443:1.2.3.4',
    '*.*.b:443:1.2.3.4',
    '+a.b:443:1.2.3.4 x',
    '-a.b:443',
  ])('%j is none', (text) => {
    expect(parseResolveRule(text)).toBeUndefined()
  })
})

test('an address without brackets is one exactly when node:net says that it is IPv4', () => {
  const part = fc.oneof(fc.integer({ min: 0, max: 300 }).map(String), fc.constantFrom('', '00', '01', '256', '1000'))
  fc.assert(
    fc.property(fc.array(part, { minLength: 3, maxLength: 5 }), (parts) => {
      const address = parts.join('.')
      expect(parseResolveRule(`a.b:443:${address}`)?.address).toBe(isIPv4(address) ? address : undefined)
    }),
    { numRuns: 1000 },
  )
})

test('an address as host has no server name: SNI is for names', () => {
  expect(resolveTarget(route(), new URL('https://192.168.64.2/')).serverName).toBe('')
  expect(resolveTarget(route(), new URL('https://[::1]:8443/')).serverName).toBe('')
})
