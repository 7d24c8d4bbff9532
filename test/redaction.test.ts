import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { oneLine, Redactor, stripControl } from '../src/redaction.js'

/** As a Connector makes them: 64 bytes in padded base64url. */
const token = fc
  .uint8Array({ minLength: 64, maxLength: 64 })
  .map((bytes) => `${Buffer.from(bytes).toString('base64url')}==`)

describe('a token', () => {
  test('is taken out of every URL that holds it, learned or not, and the rest stays', () => {
    fc.assert(
      fc.property(token, (secret) => {
        const clean = new Redactor().redact(
          `GET https://c.example/info?token=${secret}&x=1 "https://c.example/?a=b&token=${secret}"`,
        )
        expect(clean).toBe('GET https://c.example/info?token=REDACTED&x=1 "https://c.example/?a=b&token=REDACTED"')
      }),
    )
  })

  test('that was learned is removed everywhere, also without its padding or encoded', () => {
    fc.assert(
      fc.property(token, fc.string(), (secret, runtime) => {
        const redactor = new Redactor()
        redactor.learn(`{"csrUrl":"https://c.example/certificates?token=${secret}"}`)
        const bare = secret.replace(/=+$/, '')
        for (const form of [secret, bare, secret.replaceAll('=', '%3D')]) {
          expect(redactor.redact(`${runtime}${form}${runtime}`)).not.toContain(bare)
        }
      }),
    )
  })

  test('is learned from a URL with an encoded padding too', () => {
    const redactor = new Redactor()
    const word = 'abcdefghijkl'.repeat(3)
    redactor.learn(`https://c.example/?token=${word}%3D%3D`)
    expect(redactor.redact(`saw ${word}== and ${word}`)).toBe('saw REDACTED and REDACTED')
  })

  test.each([
    '?token=',
    '?\\token=',
    '?%74oken=',
    '?t=',
    '?x=1&amp;token=',
    '?a;token=',
    '?',
    '#token=',
    '#',
    '/token=',
    '/',
  ])('of a URL that was given is learned, whatever precedes it: %s', (joint) => {
    const secret = `${'aB-_09'.repeat(14)}==`
    const redactor = new Redactor()
    redactor.learnUrl(new URL(`https://c.example/v1/applications/signingRequests/info${joint}${secret}`))
    expect(redactor.redact(`${secret} signingRequests/info`)).toBe('REDACTED signingRequests/info')
  })

  test('is removed by its form, even if it was not learned and has no token= in front', () => {
    fc.assert(
      fc.property(token, (secret) => {
        const escaped = secret.replaceAll('=', '\\=')
        for (const shown of [
          `unknown command ${secret}`,
          `"?token\\=${secret}"`,
          `\\?token\\=${escaped}`,
          `x=${secret.replaceAll('=', '%3D')}`,
        ]) {
          expect(new Redactor().redact(shown)).not.toContain(secret.slice(0, 86))
        }
      }),
    )
  })

  test('that is too short to be one does not cause words to be redacted', () => {
    const redactor = new Redactor()
    redactor.learn('https://c.example/?token=the')
    expect(redactor.redact('the end')).toBe('the end')
  })
})

test('text of a server on one line cannot begin a new line', () => {
  expect(oneLine('CN=de\n error: fake\r\n\tline\u2028x')).toBe('CN=de error: fake line x')
})

describe('text for a person', () => {
  test('has no control, no escape sequence and nothing that turns the reading direction', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(stripControl(text)).not.toMatch(/[^\P{C}\n\t]/u)
      }),
    )
  })

  test.each([
    ['\x1b[31mred\x1b[0m', 'red'],
    ['\x1b]0;title\x07shown', 'shown'],
    ['\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\', 'link'],
    ['a\rb\bc', 'abc'],
    ['user\u202egpj.exe', 'usergpj.exe'],
    ['\x9b31mcsi', '31mcsi'],
    ['lines\n\tstay', 'lines\n\tstay'],
    ['Köln 漢字 👋', 'Köln 漢字 👋'],
  ])('%j becomes %j', (text, expected) => {
    expect(stripControl(text)).toBe(expected)
  })
})

describe('a server', () => {
  test('cannot have words of ours redacted by calling them tokens', () => {
    const redactor = new Redactor()
    redactor.learn('https://c.example/?token=certificate and token=error')
    expect(redactor.redact('the error is in the certificate')).toBe('the error is in the certificate')
  })

  test('cannot change our JSON with the text of a field', () => {
    const redactor = new Redactor()
    redactor.learnUrl(new URL('https://c.example/?token=REDACTED%22,%22code%22:1'))
    const value = { error: { message: 'token=abc","exitCode":0,"x":"y', code: 'ERR_NETWORK', exitCode: 8 } }
    const shown: unknown = JSON.parse(JSON.stringify(redactor.redactJson(value)))
    expect(shown).toEqual({
      error: { message: 'token=REDACTED","exitCode":0,"x":"y', code: 'ERR_NETWORK', exitCode: 8 },
    })
  })
})

describe('a secret that is about to be sent', () => {
  const secret = 'p&ss "word" <1> ä/'

  test('is removed as it is, and as JSON, Go’s JSON, JSON inside JSON and URLs write it', () => {
    const redactor = new Redactor()
    redactor.learnSecret(secret)
    const json = JSON.stringify(secret).slice(1, -1)
    const go = json.replace(/[&<>]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
    expect(go).toContain('p\\u0026ss')
    const inside = JSON.stringify(json).slice(1, -1)
    for (const form of [secret, json, go, inside, encodeURIComponent(secret)]) {
      expect(redactor.redact(`a ${form} b`)).toBe('a REDACTED b')
    }
  })

  test('of several lines is removed line by line, and where its lines were joined', () => {
    const redactor = new Redactor()
    redactor.learnSecret('the first line\r\nthe second line\n')
    expect(redactor.redact('the second line, the first line the second line')).toBe('REDACTED, REDACTED')
  })

  test('leaves no rest when it begins with another secret', () => {
    const redactor = new Redactor()
    redactor.learnSecret('correct-horse')
    redactor.redact('correct-horse')
    redactor.learnSecret('correct-horse-battery')
    expect(redactor.redact('correct-horse-battery correct-horse')).toBe('REDACTED REDACTED')
  })

  test('of less than 8 characters stays: redacting it would redact ordinary text', () => {
    const redactor = new Redactor()
    redactor.learnSecret('orders')
    expect(redactor.redact('created orders')).toBe('created orders')
  })
})
