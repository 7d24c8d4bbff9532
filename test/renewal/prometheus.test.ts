import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IdentityUnusableError } from '../../src/errors.js'
import type { Metadata } from '../../src/identity/identity.js'
import { stripControl } from '../../src/redaction.js'
import { renewalDate, usualDueRule } from '../../src/renewal/due.js'
import { formatMetrics } from '../../src/renewal/prometheus.js'
import { parsePrometheusText } from '../support/prometheus-text.js'

const now = new Date('2026-11-25T12:00:00Z')
const demo: Metadata = {
  profile: 'demo',
  app: 'demo',
  commonName: 'demo',
  subject: 'CN=demo',
  fingerprint: '80000000'.padEnd(64, '0'),
  notBefore: new Date('2026-11-01T00:00:00Z'),
  notAfter: new Date('2027-02-01T00:00:00Z'),
  gatewayHost: 'gateway.kyma.local',
  acceptedHosts: [],
  connectorHost: 'connector-service.kyma.local',
  urls: {},
  route: { nodePort: null, resolve: [], serverCa: null, proxy: null },
  insecure: false,
  pairedAt: now,
  obtainedAt: new Date(0),
  revokedAt: null,
  rejectedAt: null,
  hookPending: false,
}
const summary = (more: Partial<Metadata>): { profile: string; metadata: Metadata } => {
  const metadata = { ...demo, ...more }
  return { profile: metadata.profile, metadata }
}

test('one identity is six gauges, exactly', () => {
  expect(formatMetrics([summary({})], usualDueRule, now)).toBe(`\
# HELP kyconnect_certificate_not_before_seconds When the certificate begins to be valid, as Unix time.
# TYPE kyconnect_certificate_not_before_seconds gauge
kyconnect_certificate_not_before_seconds{app="demo",profile="demo"} 1793491200
# HELP kyconnect_certificate_not_after_seconds When the certificate expires, as Unix time.
# TYPE kyconnect_certificate_not_after_seconds gauge
kyconnect_certificate_not_after_seconds{app="demo",profile="demo"} 1801440000
# HELP kyconnect_certificate_renewal_due_seconds When the certificate is due for renewal, as Unix time.
# TYPE kyconnect_certificate_renewal_due_seconds gauge
kyconnect_certificate_renewal_due_seconds{app="demo",profile="demo"} 1798591680
# HELP kyconnect_certificate_revoked Whether the certificate has been revoked: 1 if so.
# TYPE kyconnect_certificate_revoked gauge
kyconnect_certificate_revoked{app="demo",profile="demo"} 0
# HELP kyconnect_hook_pending Whether the --exec command is pending, because it has not succeeded since the last renewal: 1 if so.
# TYPE kyconnect_hook_pending gauge
kyconnect_hook_pending{app="demo",profile="demo"} 0
# HELP kyconnect_identity_usable Whether the identity can be used: 0 if it is damaged or its certificate has expired.
# TYPE kyconnect_identity_usable gauge
kyconnect_identity_usable{app="demo",profile="demo"} 1
`)
})

test('several identities are one metric each, with a sample for every identity that has the fact', () => {
  const families = parsePrometheusText(
    formatMetrics(
      [
        summary({ profile: 'a' }),
        { profile: 'broken', problem: new IdentityUnusableError('broken') },
        summary({ profile: 'expired', notAfter: now }),
        summary({ profile: 'hooked', app: 'shop', hookPending: true, revokedAt: now }),
      ],
      { kind: 'time', ms: 86_400_000 },
      now,
    ),
  )
  const values = (name: string): Record<string, number> =>
    Object.fromEntries(
      families
        .get(`kyconnect_${name}`)
        ?.samples.map(({ labels, value }) => [`${labels['app'] ?? '?'}/${labels['profile'] ?? '?'}`, value]) ?? [],
    )
  expect(values('identity_usable')).toEqual({ 'demo/a': 1, '/broken': 0, 'demo/expired': 0, 'shop/hooked': 1 })
  expect(values('certificate_revoked')).toEqual({ 'demo/a': 0, 'demo/expired': 0, 'shop/hooked': 1 })
  expect(values('hook_pending')).toEqual({ 'demo/a': 0, 'demo/expired': 0, 'shop/hooked': 1 })
  expect(values('certificate_not_after_seconds')['demo/expired']).toBe(now.getTime() / 1000)
  const due = renewalDate(demo, { kind: 'time', ms: 86_400_000 })
  expect(values('certificate_renewal_due_seconds')['demo/a']).toBe(due.getTime() / 1000)
  expect([...families.values()].map(({ type }) => type)).toEqual(Array(6).fill('gauge'))
})

test('without an identity there are no metrics', () => {
  expect(formatMetrics([], usualDueRule, now)).toBe('')
})

test('any label is read back as it was, without the characters that steer a terminal', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('\\', '"', '\n', '\r', '\x1b[31m', 'n', '{', '}', ',', '=', ' ', '#') }),
  )
  fc.assert(
    fc.property(fc.uniqueArray(text, { minLength: 1, selector: stripControl }), (apps) => {
      const summaries = apps.map((app, index) => summary({ app, profile: `p${index}` }))
      const families = parsePrometheusText(formatMetrics(summaries, usualDueRule, now))
      for (const { samples } of families.values())
        expect(samples.map(({ labels }) => labels['app'])).toEqual(apps.map(stripControl))
    }),
    { numRuns: 300 },
  )
})
