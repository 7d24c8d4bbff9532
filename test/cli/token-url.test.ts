import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTokenUrl } from '../../src/cli/token-url-text.js'
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

  test.each(damages)('pasted with %s is cleaned, and only the added characters are removed', (name, damage) => {
    fc.assert(
      fc.property(token, (secret) => {
        const { url, cleaned } = parseTokenUrl(damage(`${base}?token=${secret}`))
        expect(url.href).toBe(`${base}?token=${secret}`)
        // A newline behind is how every file and pipe ends: nothing to speak of.
        expect(cleaned).toBe(name !== 'a newline behind')
      }),
    )
  })

  test.each<[string, (url: string) => string]>([
    ['a sentence', (url) => `Your URL: ${url} thanks`],
    ['a sentence that ends with it', (url) => `Please use ${url}.`],
    [
      'a letter, broken over its lines',
      (url) => `Hello,\nhere it is:\n\n${url.slice(0, 70)}\n${url.slice(70)}\nThanks,\nBob\n`,
    ],
    ['another link before it', (url) => `See https://wiki.example.com/pairing first, then use ${url}\nRegards`],
    ['Markdown', (url) => `[the URL](${url})`],
    ['YAML', (url) => `status:\n  state: OK\n  url: ${url}\n  expireAfter: 2026-11-25T08:00:00Z\n`],
  ])('within %s is found, and nothing else of the text is taken', (_, wrap) => {
    fc.assert(
      fc.property(token, (secret) => {
        const { url, cleaned } = parseTokenUrl(wrap(`${base}?token=${secret}`))
        expect([url.href, cleaned]).toEqual([`${base}?token=${secret}`, true])
      }),
    )
  })

  test('whose token has no padding ends at a blank, in a text', () => {
    expect(parseTokenUrl(`Your URL: ${base}?token=abc-_d, thanks`).url.search).toBe('?token=abc-_d')
    expect(parseTokenUrl(`${base}?token=abc thanks`).url.search).toBe('?token=abc')
  })

  test.each<[string, (url: string) => unknown]>([
    ['the answer of the token API', (url) => ({ url, token: url.split('token=')[1] })],
    ['a TokenRequest', (url) => ({ kind: 'TokenRequest', metadata: { name: 'demo' }, status: { state: 'OK', url } })],
    ['a list with one TokenRequest', (url) => ({ kind: 'List', items: [{ kind: 'TokenRequest', status: { url } }] })],
  ])('in the JSON of %s is found, also where it is spread over lines', (_, wrap) => {
    fc.assert(
      fc.property(token, (secret) => {
        const json = wrap(`${base}?token=${secret}`)
        for (const text of [JSON.stringify(json), `${JSON.stringify(json, null, 4)}\n`]) {
          const { url, cleaned } = parseTokenUrl(text)
          expect([url.href, cleaned]).toEqual([`${base}?token=${secret}`, false])
        }
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
    ['connector-service.kyma.local/v1', 'is not a valid URL'],
    ['please find the URL attached', 'is not a valid URL'],
    [`http://connector-service.kyma.local/v1?token=c2VjcmV0c2VjcmV0==`, 'only https://'],
    ['ftp://x/?token=c2VjcmV0c2VjcmV0==', 'only https://'],
    ['javascript:alert(1)//?token=c2VjcmV0c2VjcmV0==', 'only https://'],
    [base, 'has no token'],
    [`${base}?token=`, 'has no token'],
    [`${base}?tok=c2VjcmV0c2VjcmV0==`, 'has no token'],
    [`${base}#token=c2VjcmV0c2VjcmV0==`, 'has no token'],
    [
      `https://one.example/?token=c2VjcmV0c2VjcmV0== https://two.example/?token=c2VjcmV0c2VjcmV0==`,
      'several token URLs',
    ],
    ['{"kind":"TokenRequest","status":{"state":"OK","url":"","token":""}}', 'no token URL in its status'],
    ['{"token":"c2VjcmV0c2VjcmV0=="}', 'no "url" in it'],
    [
      '{"items":[{"status":{"url":"https://a.example?token=c2VjcmV0c2VjcmV0"}},{"status":{"url":"https://b.example?token=x"}}]}',
      'several token URLs',
    ],
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

test('hostile text of 64 KiB is read quickly', () => {
  const size = 64 * 1024
  const units = [
    'https://',
    '?token=',
    '&token=a=',
    ' ',
    'a ',
    '\\\n',
    '"',
    '=',
    'https://a?token=a ',
    '%3D',
    '{"items":[',
    ')',
    '\\ ',
  ]
  for (const unit of units) {
    const started = performance.now()
    for (const text of [unit.repeat(size / unit.length), `https://a/?token=${unit.repeat(size / unit.length)}`]) {
      try {
        parseTokenUrl(text)
      } catch (error) {
        expect(error).toBeInstanceOf(TokenUrlInvalidError)
      }
    }
    expect(performance.now() - started, JSON.stringify(unit)).toBeLessThan(2000)
  }
})
