import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTokenUrl } from '../../src/cli/token-url.js'
import { TokenUrlInvalidError } from '../../src/errors.js'

const token = fc
  .uint8Array({ minLength: 64, maxLength: 64 })
  .map((bytes) => `${Buffer.from(bytes).toString('base64url')}==`)
const base = 'https://connector-service.kyma.local/v1/applications/signingRequests/info'

/** What mail programs, chats, shells and terminals do to a URL. */
const damages: [string, (url: string) => string][] = [
  ['a newline behind', (url) => `${url}\n`],
  ['blanks around', (url) => `  ${url}\t `],
  ['double quotes', (url) => `"${url}"`],
  ['single quotes', (url) => `'${url}'`],
  ['typographic quotes', (url) => `“${url}”`],
  ['backticks', (url) => `\`${url}\``],
  ['angle brackets', (url) => `<${url}>`],
  ['Windows line ends', (url) => `${url}\r\n`],
  ['line breaks within', (url) => (url.match(/.{1,60}/g) ?? []).join('\r\n')],
  ['backslashes of a shell', (url) => url.replace(/[?=]/g, '\\$&')],
  ["a shell's backslash before a line break", (url) => `${url.slice(0, 70)}\\\n${url.slice(70)}`],
  ['a backslash, then a line break of Windows, before the query', (url) => url.replace('?', '\\\r\n?')],
  ['a byte order mark', (url) => `\ufeff${url}`],
  ['quotes, blanks and line breaks', (url) => `\n ' ${url.slice(0, 70)}\n${url.slice(70)}' \n`],
]

describe('a token URL', () => {
  test('is taken as it is: not a character of it changes', () => {
    fc.assert(
      fc.property(token, (secret) => {
        const { url, cleaned } = parseTokenUrl(`${base}?token=${secret}`)
        expect([url.href, cleaned]).toEqual([`${base}?token=${secret}`, false])
      }),
    )
  })

  test.each(damages)('pasted with %s is cleaned, and only what came on top is taken off', (name, damage) => {
    fc.assert(
      fc.property(token, (secret) => {
        const { url, cleaned } = parseTokenUrl(damage(`${base}?token=${secret}`))
        expect(url.href).toBe(`${base}?token=${secret}`)
        // A newline behind is how every file and pipe ends: nothing to speak of.
        expect(cleaned).toBe(name !== 'a newline behind')
      }),
    )
  })

  test.each([
    `${base}?token=abc%3D%3D`,
    `${base}?token=a-_b==&x=%2f`,
    `${base.toUpperCase().replace('HTTPS', 'https')}?token=a`,
  ])('keeps the encoding of its query: %s', (text) => {
    expect(parseTokenUrl(text).url.search).toBe(text.slice(text.indexOf('?')))
  })

  test.each([
    ['', 'is empty'],
    ['  \n', 'is empty'],
    ['connector-service.kyma.local/v1', 'is no URL'],
    ['please find the URL attached', 'is no URL'],
    [`http://connector-service.kyma.local/v1?token=c2VjcmV0c2VjcmV0==`, 'only https://'],
    ['ftp://x/?token=c2VjcmV0c2VjcmV0==', 'only https://'],
    ['javascript:alert(1)//?token=c2VjcmV0c2VjcmV0==', 'only https://'],
    ['https://user:c2VjcmV0c2VjcmV0@connector-service.kyma.local/v1?token=c2VjcmV0c2VjcmV0==', 'user name'],
  ])('%j is none, and is not repeated', (text, why) => {
    let failure: unknown
    try {
      parseTokenUrl(text)
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(TokenUrlInvalidError)
    expect(String(failure)).toContain(why)
    expect(String(failure)).not.toContain('c2VjcmV0')
  })
})
