import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { certificateState, dueDate, isNew, parseDueRule, renewalDate, usualDueRule } from '../../src/renewal/due.js'

const day = 86_400_000
const notBefore = new Date('2026-11-25T00:00:00Z')
const notAfter = new Date(notBefore.getTime() + 92 * day)
const fingerprints = fc.stringMatching(/^[0-9a-f]{64}$/)

function daysAfterStart(date: Date): number {
  return (date.getTime() - notBefore.getTime()) / day
}

describe('a certificate of 92 days', () => {
  test('is due when a third of its lifetime is left', () => {
    const first = dueDate({ notBefore, notAfter, fingerprint: '0'.repeat(64) }, usualDueRule)
    expect(daysAfterStart(first)).toBeCloseTo((92 * 2) / 3, 6)
  })

  test('is due up to 1/20 of its lifetime earlier, as its fingerprint says', () => {
    const last = dueDate({ notBefore, notAfter, fingerprint: 'f'.repeat(64) }, usualDueRule)
    expect(daysAfterStart(last)).toBeCloseTo((92 * 2) / 3 - 92 / 20, 4)
  })

  test('is never due later than a rule says, nor in its first twentieth', () => {
    fc.assert(
      fc.property(fingerprints, fc.integer({ min: 1, max: 200 }), (fingerprint, days) => {
        const at = daysAfterStart(dueDate({ notBefore, notAfter, fingerprint }, { kind: 'time', ms: days * day }))
        const asked = 92 - days
        expect(at).toBeGreaterThanOrEqual(92 / 20)
        expect(at).toBeLessThanOrEqual(Math.max(asked, 92 / 20) + 1e-9)
        expect(at).toBeGreaterThanOrEqual(asked - 92 / 20 - 1e-9)
      }),
    )
  })

  test.each([10, 62])(
    'is not renewed within a twentieth of its lifetime after a new one was rejected on day %s',
    (days) => {
      const rejectedAt = new Date(notBefore.getTime() + days * day)
      const metadata = { notBefore, notAfter, fingerprint: '0'.repeat(64), obtainedAt: notBefore, rejectedAt }
      expect(daysAfterStart(renewalDate(metadata, usualDueRule))).toBeCloseTo(Math.max((92 * 2) / 3, days + 92 / 20), 6)
      expect(renewalDate({ ...metadata, rejectedAt: null }, usualDueRule)).toEqual(dueDate(metadata, usualDueRule))
    },
  )

  test.each([
    [80, 80 + 92 / 20],
    [90, 92 - 92 / 20],
  ])('is not renewed soon after a machine whose clock is fast got it on day %s', (days, renewed) => {
    const obtainedAt = new Date(notBefore.getTime() + days * day)
    const metadata = { notBefore, notAfter, fingerprint: '0'.repeat(64), obtainedAt, rejectedAt: null }
    expect(daysAfterStart(renewalDate(metadata, usualDueRule))).toBeCloseTo(renewed, 6)
    expect(isNew(metadata, new Date(notBefore.getTime() + 82 * day))).toBe(true)
    expect(isNew(metadata, new Date(notBefore.getTime() + 88 * day))).toBe(false)
  })

  test.each([
    ['fine', 0, null],
    ['due', 62, null],
    ['expired', 92, null],
    ['revoked', 0, new Date(0)],
    ['expired', 93, new Date(0)],
  ] as const)('is %s after %s days', (state, days, revokedAt) => {
    const metadata = { notBefore, notAfter, fingerprint: '0'.repeat(64), revokedAt, rejectedAt: null }
    expect(certificateState(metadata, usualDueRule, new Date(notBefore.getTime() + days * day))).toBe(state)
  })
})

describe('--expires-in', () => {
  test.each([
    ['20d', { kind: 'time', ms: 20 * day }],
    ['36h', { kind: 'time', ms: 1.5 * day }],
    ['90m', { kind: 'time', ms: 5_400_000 }],
    ['1.5s', { kind: 'time', ms: 1500 }],
    ['2w', { kind: 'time', ms: 14 * day }],
    ['33%', { kind: 'share', share: 0.33 }],
    ['100%', { kind: 'share', share: 1 }],
  ])('takes %s', (text, rule) => {
    expect(parseDueRule(text)).toEqual(rule)
  })

  test.each(['', '0d', '20', 'd', '-1d', '101%', '1e3d', '20 days', '20dd', '0x10d', '٣d'])('refuses "%s"', (text) => {
    expect(parseDueRule(text)).toBeUndefined()
  })
})
