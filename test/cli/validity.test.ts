import { expect, test } from 'vitest'
import { describeWarning } from '../../src/cli/output/progress-text.js'
import { validityEnd } from '../../src/cli/output/validity.js'
import { daysLeft } from '../../src/identity/identity.js'

const end = new Date('2026-11-25T10:30:15Z')
const hour = 3_600_000
const before = (hours: number): number => daysLeft(end, new Date(end.getTime() - hours * hour))

test.each([
  [25, '2026-11-25'],
  [24, '2026-11-25'],
  [23, '2026-11-25T10:30:15Z'],
  [0, '2026-11-25T10:30:15Z'],
  [-23, '2026-11-25T10:30:15Z'],
  [-25, '2026-11-25'],
])('%i hours before its end, a certificate is valid until %s', (hours, shown) => {
  expect(validityEnd(end, before(hours))).toBe(shown)
})

test.each([
  [49, false, 'expires on 2026-11-25, in 2 days; renew it: kyconnect renew --profile demo'],
  [5, false, 'expires at 2026-11-25T10:30:15Z, in less than a day; renew it: kyconnect renew --profile demo'],
  [
    -5,
    false,
    'expired at 2026-11-25T10:30:15Z; pair again with a new token URL: kyconnect pair --force --profile demo',
  ],
  [-49, false, 'expired on 2026-11-25; pair again'],
  [49, true, 'has been revoked, and expires on 2026-11-25, in 2 days; pair again with a new token URL'],
  [-49, true, 'has been revoked, and expired on 2026-11-25; pair again'],
])('the warning %i hours before the end, with revoked %j, says that the certificate %s', (hours, revoked, says) => {
  const warning = { type: 'warning', warning: 'certificate-expiring', profile: 'demo', notAfter: end } as const
  expect(describeWarning({ ...warning, daysLeft: before(hours), revoked })).toContain(`"demo" ${says}`)
})
