import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkBody } from '../../src/cli/commands/call/body-check.js'
import { UsageError } from '../../src/errors.js'

const event = '{"event-type":"a","data":{"text":"} { ] \\" , \\\\"}}'

describe('an event', () => {
  test.each([event, ` ${event}\n`, '[]', '"x"', '1', 'null', '', '{', '{"a":1,}', `{} }x`.slice(0, 2), 'rubbish'])(
    'that is one document, or that the service refuses by itself, is sent: %j',
    (body) => {
      expect(() => {
        checkBody('events', body)
      }).not.toThrow()
    },
  )

  test.each([
    [`${event}${event}`, 'several'],
    [`${event}\n${event}\n`, 'several'],
    [`${event},${event}`, 'several'],
    [`${event}\n[]`, 'several'],
    [`${event} rubbish`, 'more than'],
    [`${event}}`, 'more than'],
    [`${event}"x"`, 'more than'],
    ['1 2', 'more than'],
    ['null{}', 'several'],
    ['"a""b"', 'more than'],
  ])('followed by something is refused: %j', (body, why) => {
    expect(() => {
      checkBody('events', body)
    }).toThrow(UsageError)
    expect(() => {
      checkBody('events', body)
    }).toThrow(why)
  })

  test('of any shape is sent alone, and refused twice', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('', ' ', '\n'), (value, blank) => {
        const text = JSON.stringify(value)
        checkBody('events', `${blank}${text}${blank}`)
        const twice = `${text} ${text}`
        expect(() => {
          checkBody('events', twice)
        }).toThrow(UsageError)
      }),
    )
  })
})

describe('a service', () => {
  const withApi = (api: unknown): string => JSON.stringify({ provider: 'p', name: 'n', description: 'd', api })

  test.each([
    [{ credentials: { basic: { username: '********', password: 'x' } } }],
    [{ credentials: { basic: { username: 'x', password: '********' } } }],
    [{ credentials: { oauth: { url: 'https://x', clientId: '********', clientSecret: '********' } } }],
    [{ specificationCredentials: { basic: { username: 'a', password: '********' } } }],
    [{ Credentials: { Basic: { USERNAME: '********' } } }],
  ])('with starred credentials is refused: %j', (api) => {
    for (const text of [
      withApi(api),
      `${withApi(api)} rubbish`,
      withApi(api).replaceAll('********', '\\u002a*******'),
    ]) {
      expect(() => {
        checkBody('metadata', text)
      }).toThrow(/stars/)
    }
  })

  test.each([
    [{ credentials: { basic: { username: 'u', password: '*********' } } }],
    [{ spec: { example: { password: '********' } } }],
    [{ credentials: null }],
    ['********'],
  ])('without them is sent: %j', (api) => {
    expect(() => {
      checkBody('metadata', withApi(api))
    }).not.toThrow()
  })

  test('of 5 MiB, whatever it contains, is checked quickly', () => {
    const size = 5 * 1024 * 1024
    for (const unit of ['[', '{"api":', '"', '\\', ' ', '{}', '1 ', '{"api":{"credentials":[']) {
      const started = performance.now()
      try {
        checkBody('metadata', unit.repeat(size / unit.length))
        checkBody('events', unit.repeat(size / unit.length))
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError)
      }
      expect(performance.now() - started, unit).toBeLessThan(10_000)
    }
  })
})
