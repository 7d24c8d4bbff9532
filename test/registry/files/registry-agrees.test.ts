import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Sandbox } from '../../../src/sandbox/sandbox.js'
import { pair, type Identity } from '../../sandbox/identity.js'
import { startTestSandbox, wireTo } from '../../sandbox/wire.js'
import { asServiceFile } from './as-service-file.js'
import { useServiceFolder } from './service-folder.js'

const runs = Number(process.env['KYCONNECT_PROPERTY_RUNS'] ?? 300)
const folder = useServiceFolder()
let sandbox: Sandbox
let identity: Identity
beforeAll(async () => {
  sandbox = await startTestSandbox()
  identity = await pair(sandbox, 'demo')
})
afterAll(() => sandbox.close())

/** Where kyconnect refuses on purpose what the Registry accepts: all of it, and each with its reason. */
const strictOnPurpose: readonly [RegExp, string][] = [
  [/ is not a field of /, 'the Registry drops unknown fields without a word'],
  [
    /^identifier (?:is missing|must not be empty)$/,
    'without an identifier, applying twice would register two services',
  ],
  [/, and is empty$/, 'the Registry reads null as if the field were absent; in YAML it is a value that someone forgot'],
  [/^api\.(?:apiType|specificationUrl) must not be empty$/, 'an empty text is a field that can be left out'],
  [/^api\.credentials is empty: /, 'the Registry drops empty credentials without a word'],
  [
    /^api\.credentials\.certificateGen\.commonName (?:is missing|must not be empty)$/,
    'the Registry drops certificateGen without a name',
  ],
  [/^labels\.\S+ is reserved for /, 'the Registry and kyconnect write these labels'],
  [/ must not refer to a secret$/, 'secrets are sent in credential fields only'],
  [/ has a password in it$/, 'a password in a URL is a secret in a file'],
  [
    /^api\.(?:headers|queryParameters|requestParameters)\b/,
    'releases before 1.2 and 1.3, such as the recorded one, ignore them',
  ],
]

const text = fc.constantFrom('Orders', 'a', '  ', '<b>&', 'Aufträge – 注文', 'no', '2001-12-14', '100%done')
const notText = fc.constantFrom<unknown>('', null, 5, true, [], {}, ['a'])
/** Mostly right. */
const mostly = <T>(
  right: fc.Arbitrary<T>,
  wrong: fc.Arbitrary<unknown> = notText,
  weight = 50,
): fc.Arbitrary<unknown> => fc.oneof({ weight, arbitrary: right }, { weight: 1, arbitrary: wrong })
/** An object with each field in most cases, and another field now and then. */
const object = (
  fields: Record<string, fc.Arbitrary<unknown>>,
  optional: readonly string[] = [],
): fc.Arbitrary<unknown> =>
  fc
    .tuple(
      fc.record(fields),
      fc.constantFrom(...Array.from({ length: 60 }, () => ''), ...Object.keys(fields)),
      fc.subarray([...optional]),
      mostly(
        fc.constant<object>({}),
        fc.constantFrom({ owner: 'x' }, { x: null }, { id: 'y' }, { certificate: 'z' }),
        20,
      ),
    )
    .map(([record, missing, absent, more]) =>
      Object.fromEntries(
        Object.entries({ ...record, ...(typeof more === 'object' ? more : {}) }).filter(
          ([name]) => name !== missing && !absent.includes(name),
        ),
      ),
    )
const url = mostly(
  fc.constantFrom(
    'https://orders.example/v1',
    'orders.example/v1',
    'http://orders:8080',
    'mailto:a@b.c',
    'https://10.0.0.1:8443/x',
    'ftp://a.example',
    'https://a.example?x=y#z',
    'localhost:80',
    'http://[::1]/x',
  ),
  fc.oneof(
    notText,
    fc.constantFrom(
      'not a url',
      'x y',
      'localhost',
      'a.b',
      'http://',
      'https://-',
      'http:///x',
      'a/b',
      'https://a.example:123456',
      'https://bob:pw@a.example',
      'https://a.example/${env:X}',
    ),
    fc.string({ maxLength: 12 }),
  ),
  8,
)
const secret = mostly(fc.constantFrom('hunter2', '********', ' '))
const csrfInfo = mostly(object({ tokenEndpointURL: url }))
const methods = {
  basic: mostly(object({ username: secret, password: secret, csrfInfo }, ['csrfInfo'])),
  oauth: mostly(object({ url, clientId: secret, clientSecret: secret, csrfInfo }, ['csrfInfo'])),
  certificateGen: mostly(object({ commonName: mostly(text), csrfInfo }, ['csrfInfo'])),
}
const { basic, oauth, certificateGen } = methods
const credentials = fc.oneof(
  { weight: 9, arbitrary: fc.oneof(object({ basic }), object({ oauth }), object({ certificateGen })) },
  { weight: 1, arbitrary: object(methods, ['basic', 'oauth', 'certificateGen']) },
)
const spec = mostly(
  fc.oneof(
    fc.constantFrom<unknown>({}, null, { openapi: '3.0.0' }, { swagger: '2.0' }, { swagger: 2, paths: 'bad' }),
    fc.dictionary(fc.string(), fc.jsonValue()),
  ),
  fc.constantFrom<unknown>([], [1], 'x', '', 5, true, 'openapi: 3.0.0'),
)
const lists = mostly(fc.dictionary(fc.constantFrom('X', 'Y'), fc.array(text, { maxLength: 2 }), { maxKeys: 2 }))
const api = object(
  {
    targetUrl: url,
    spec,
    // Nothing answers at a URL: only one that is refused without a call can be compared.
    specificationUrl: fc.constantFrom<unknown>('not a url', '', null, 5),
    apiType: mostly(fc.constantFrom('rest', 'OpenAPI')),
    credentials: mostly(credentials),
    headers: lists,
    requestParameters: mostly(object({ headers: lists, queryParameters: lists }, ['headers', 'queryParameters'])),
  },
  ['spec', 'specificationUrl', 'specificationUrl', 'apiType', 'credentials', 'headers', 'requestParameters'],
)
const documentation = object(
  {
    displayName: mostly(text),
    description: mostly(text),
    type: mostly(text),
    tags: mostly(fc.array(mostly(text), { maxLength: 3 })),
    docs: mostly(
      fc.array(
        mostly(object({ title: mostly(text), type: mostly(text), source: mostly(text) }, ['title', 'type', 'source'])),
        { maxLength: 2 },
      ),
    ),
  },
  ['tags', 'docs'],
)
const definition = object(
  {
    identifier: mostly(fc.constant('unique')),
    provider: mostly(text),
    name: mostly(text),
    description: mostly(text),
    shortDescription: mostly(text),
    labels: mostly(
      fc.dictionary(fc.constantFrom('team', 'a b', '', 'connected-app', 'kyconnect-set'), mostly(text), { maxKeys: 2 }),
    ),
    api: mostly(api),
    events: mostly(object({ spec })),
    documentation: mostly(documentation),
  },
  ['shortDescription', 'labels', 'api', 'events', 'documentation'],
)

test(
  `kyconnect and the Registry accept and refuse the same ${runs} definitions, but for what kyconnect refuses on purpose`,
  { timeout: 120_000 + runs * 100 },
  async () => {
    let count = 0
    const outcomes = { accepted: 0, refused: 0, strict: 0 }
    const reasons = new Set<string>()
    await fc.assert(
      fc.asyncProperty(definition, async (generated) => {
        const identifier = `service-${count++}`
        const wire = JSON.stringify(generated).replace('"identifier":"unique"', `"identifier":"${identifier}"`)
        const { status, body } = await wireTo(sandbox).gateway('/demo/v1/metadata/services', {
          ...identity,
          method: 'POST',
          body: wire,
        })
        expect([200, 400, 502]).toContain(status)
        const file: unknown = JSON.parse(wire)
        const text = asServiceFile(file, identifier)
        const isMissing = typeof file === 'object' && file !== null && !('identifier' in file)
        writeFileSync(
          join(folder.path, 's.json'),
          isMissing ? text.replace(`"identifier":"${identifier}"`, '"set":"x"') : text,
        )
        const problems = (await folder.problems(['s.json'])).map((problem) => problem.replace(/^s\.json:\d+:\d+: /, ''))
        if (status !== 200) {
          outcomes.refused++
          expect({ refused: body, problems }).not.toEqual({ refused: body, problems: [] })
          return
        }
        outcomes[problems.length === 0 ? 'accepted' : 'strict']++
        const [unexplained, explained] = [
          problems.filter((problem) => reasonOf(problem) === undefined),
          problems.map(reasonOf),
        ]
        expect(unexplained).toEqual([])
        for (const reason of explained) reasons.add(reason ?? '')
      }),
      { numRuns: runs },
    )
    // The definitions are of all kinds, so the comparison means something.
    expect(outcomes.accepted).toBeGreaterThan(runs / 10)
    expect(outcomes.refused).toBeGreaterThan(runs / 10)
    expect(outcomes.strict).toBeGreaterThan(runs / 30)
    expect(reasons.size).toBeGreaterThan(3)
  },
)

function reasonOf(problem: string): string | undefined {
  return strictOnPurpose.find(([pattern]) => pattern.test(problem))?.[1]
}
