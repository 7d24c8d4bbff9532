import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { serverText } from '../../src/transport/server-text.js'
import { exchanges } from '../support/golden.js'

const refusals = [...exchanges.values()].filter(
  ({ response }) => response.status >= 400 && (response.body ?? '') !== '',
)

describe('what a recorded refusal says', () => {
  test.each(refusals.map(({ name }) => name))('%s: one line of text, without markup', (name) => {
    const { headers = {}, body = '' } = exchanges.get(name)?.response ?? {}
    const said = serverText(body, headers['content-type'] ?? '')
    expect(said).not.toBe('')
    expect(said).not.toMatch(/[\n\r\t]/)
    expect(said.length).toBeLessThanOrEqual(301)
    if (body.startsWith('<')) expect(said).not.toMatch(/[<>]|nginx\//)
  })

  test.each([
    ['info-used-token', 'Invalid token.'],
    ['mgmt-no-cert', '400 No required SSL certificate was sent'],
    ['gateway-other-app-events', '403 Forbidden'],
    ['gateway-404', 'default backend - 404'],
    ['events-missing-data', 'Missing field: data: Missing field'],
    [
      'registry-400-no-name',
      'Failed to validate request body, Incorrect structure of service definition, Name field cannot be empty.',
    ],
  ])('%s: %s', (name, expected) => {
    const { headers = {}, body = '' } = exchanges.get(name)?.response ?? {}
    expect(serverText(body, headers['content-type'] ?? '')).toBe(expected)
  })
})

test('whatever a server sends comes out as one short line without control characters', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 600 }),
      fc.constantFrom('text/html', 'application/json', ''),
      (body, type) => {
        const said = serverText(body, type)
        expect(said.length).toBeLessThanOrEqual(301)
        expect(said).not.toMatch(/[^\P{C}]/u)
      },
    ),
  )
})
