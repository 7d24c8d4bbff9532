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
  [49, 'expires on 2026-11-25, in 2 days'],
  [5, 'expires at 2026-11-25T10:30:15Z, in less than a day'],
  [-5, 'expired at 2026-11-25T10:30:15Z'],
  [-49, 'expired on 2026-11-25'],
])('the warning %i hours before the end says that the certificate %s', (hours, says) => {
  const warning = { type: 'warning', warning: 'certificate-expiring', profile: 'demo', notAfter: end } as const
  expect(describeWarning({ ...warning, daysLeft: before(hours) })).toContain(`"demo" ${says};`)
})
