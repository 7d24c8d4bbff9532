import { readdirSync, readFileSync } from 'node:fs'

/** A recorded exchange with the services of Kyma 1.0. */
export interface Exchange {
  readonly name: string
  readonly what: string
  readonly request: {
    readonly method: string
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    readonly clientCertificate?: string
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    /** Says that the body was cut. */
    readonly bodyNote?: string
  }
}

const directory = new URL('../../fixtures/golden/', import.meta.url)

function readExchange(file: string): Exchange {
  // The fixtures are ours; their shape is checked by every test that reads them.
  const parsed = JSON.parse(readFileSync(new URL(file, directory), 'utf8')) as Exchange & {
    request: { bodyNote?: string }
  }
  const { bodyNote, body } = parsed.request
  const name = file.replace(/\.json$/, '')
  const request = bodyNote === undefined ? parsed.request : { ...parsed.request, body: restored(body ?? '', bodyNote) }
  return { ...parsed, name, request }
}

/** A cut body at its full length: its last character repeated, then what closes the string and the objects. */
function restored(start: string, note: string): string {
  const length = Number(/(\d+) (?:bytes|characters)/.exec(note)?.[1])
  const open = start.replace(/"[^"]*"/g, '')
  const end = '"' + '}'.repeat(open.split('{').length - open.split('}').length)
  return start + start.slice(-1).repeat(length - start.length - end.length) + end
}

export const exchanges: ReadonlyMap<string, Exchange> = new Map(
  readdirSync(directory)
    .filter((file) => file.endsWith('.json') && file !== 'INDEX.json')
    .sort()
    .map((file) => {
      const exchange = readExchange(file)
      return [exchange.name, exchange]
    }),
)
