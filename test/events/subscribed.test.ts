import { describe, expect, test } from 'vitest'
import { KyconnectError } from '../../src/errors.js'
import { readSubscribed } from '../../src/events/subscribed.js'
import type { Gateway } from '../../src/gateway/gateway.js'
import { exchanges } from '../support/golden.js'

interface Answered {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** What the command reads from this answer; or the name, the message and the hints of its error. */
async function read({ status, contentType, body }: Answered): Promise<unknown> {
  const url = new URL('https://gateway.kyma.local/demo/v1/events/subscribed')
  const bytes = [Buffer.from(body)]
  const gateway: Gateway = {
    url: () => url,
    fetch: (endpoint, path) => {
      expect([endpoint, path]).toEqual(['events', '/subscribed'])
      // eslint-disable-next-line @typescript-eslint/require-await
      const chunks = async function* (): AsyncGenerator<Uint8Array> {
        yield* bytes
      }
      return Promise.resolve({ status, headers: {}, contentType, body: chunks(), url })
    },
    close: () => Promise.resolve(),
  }
  try {
    return await readSubscribed(gateway)
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    return `${error.name}: ${error.message}; ${error.hints.join('; ')}`
  }
}

const recorded = (name: string): Answered => {
  const { status, headers, body = '' } = exchanges.get(name)?.response ?? { status: 0, headers: {} }
  return { status, contentType: headers['content-type'] ?? '', body }
}
const json = (body: object): Answered => ({ status: 200, contentType: 'application/json', body: JSON.stringify(body) })

describe('the list of subscriptions', () => {
  test('has the type and the version of each', async () => {
    const eventsInfo = [{ name: 'order.created', version: 'v1' }, { name: 'order.deleted' }, { version: 'v1' }]
    expect(await read(json({ eventsInfo }))).toEqual([
      { type: 'order.created', version: 'v1' },
      { type: 'order.deleted', version: '' },
    ])
  })

  test('may be null', async () => {
    expect(await read(json({ eventsInfo: null }))).toEqual([])
  })

  test('is missing in release 1.0, which answered with 405', async () => {
    expect(await read(recorded('events-subscribed'))).toBe(
      'RequestRefusedError: this release of Kyma does not list subscriptions: gateway.kyma.local answered 405; releases from 1.1 on do; publish an event to see whether it is "ignored"',
    )
  })

  test.each([
    ['events-v2', 'refused the list of subscriptions: 404 "default backend - 404"; check that the App exists'],
    ['gateway-404', 'refused the list of subscriptions: 404 "default backend - 404"; check that the App exists'],
    ['events-service-no-bus-404', 'refused the list of subscriptions: 404 "Requested resource could not be found."'],
  ])('does not blame the release for the recorded %s', async (name, said) => {
    const problem = await read(recorded(name))
    expect(problem).toContain(`RequestRefusedError: gateway.kyma.local ${said}`)
    expect(problem).not.toContain('release')
  })

  test('is an error if it is not a JSON object, or too large', async () => {
    expect(await read({ ...json({}), body: '[]' })).toContain('AnswerMalformedError: the list of subscriptions')
    expect(await read({ ...json({}), body: ' '.repeat(4 * 1024 * 1024 + 1) })).toContain('is larger than 4 MiB')
  })
})
