/** Texts of 1 MiB that are made to take long are handled in linear time: with a quadratic step each would take minutes. */
import { expect, test } from 'vitest'
import { prepend } from '../../src/sandbox/go/format.js'
import { unmarshal } from '../../src/sandbox/go/json.js'
import { createRequestLog } from '../../src/sandbox/http/request-log.js'
import { attributeIn } from '../../src/sandbox/http/subject-header.js'
import { isRfc3339 } from '../../src/sandbox/events/rfc3339.js'
import { createEvents } from '../../src/sandbox/events/events.js'
import { strategicMergePatch } from '../../src/sandbox/kubernetes/patch.js'
import { readProtobuf } from '../../src/sandbox/kubernetes/protobuf.js'
import { secrets } from '../../src/sandbox/kubernetes/resources.js'
import { selectorOf } from '../../src/sandbox/kubernetes/selector.js'
import { isSubdomain } from '../../src/sandbox/kubernetes/subdomain.js'
import { firstPemBlock, isBase64 } from '../../src/sandbox/pki/pem.js'
import { isServiceUrl } from '../../src/sandbox/registry/service-url.js'
import { rewriteSwagger } from '../../src/sandbox/registry/swagger.js'

const MIB = 1024 * 1024
const PIECES = [
  '-----BEGIN x\r',
  '-----BEGIN X-----\n',
  '-----BEGIN X-----\n\n-',
  '-----BEGIN -----BEGIN \n',
  ' \t\r',
  '\n',
  '-',
  'a',
  'a.',
  'a-',
  '0',
  '%0',
  '%',
  '%-+# 0',
  '=',
  '&a',
  'token=',
  'token&',
  ',CN=',
  '\\,CN=',
  '\\',
  'CN=a+',
  'metadata.name==',
  'metadata.name=a,',
  '2019-04-11T08:30:00.',
  '[',
  '{"a":',
  '"\\u',
  ':1',
  '@',
]
const texts = PIECES.flatMap((piece) => {
  const text = piece.repeat(MIB / piece.length)
  return [text, `${text}!`, `${text}\u0000`]
})

function ignoreErrors(act: () => unknown): void {
  try {
    act()
  } catch {
    // A refusal is an answer.
  }
}

const events = createEvents(() => '')
const publish = (body: string): unknown =>
  events('demo', { method: 'POST', path: '', query: new URLSearchParams(), headers: {}, body: Buffer.from(body) })

const readers: readonly (readonly [string, (text: string) => unknown])[] = [
  ['a PEM text', firstPemBlock],
  ['base64', isBase64],
  [
    'a path in the log',
    (text) => {
      createRequestLog(
        'x',
        () => undefined,
        () => new Date(0),
      )({ method: '', target: text, status: 0, durationMs: 0 })
    },
  ],
  ['a subject', (text) => attributeIn(text, 'CN')],
  ['an error of the Registry', (text) => prepend('x', text)],
  ['a URL of a service', isServiceUrl],
  ['a time', isRfc3339],
  ['a name', isSubdomain],
  ['a field selector', (text) => selectorOf(new URLSearchParams({ fieldSelector: text }))],
  ['a label selector', (text) => selectorOf(new URLSearchParams({ labelSelector: text }))],
  ['JSON', (text) => unmarshal(Buffer.from(text))],
  ['JSON in a string', (text) => unmarshal(Buffer.from(JSON.stringify(text)))],
  ['Swagger', (text) => rewriteSwagger(JSON.stringify({ swagger: '2.0', info: { title: text } }), 'a', 'b')],
  ['an event', publish],
]

test.each(readers)(
  '%s',
  (_what, read) => {
    for (const text of texts) {
      const startMs = performance.now()
      ignoreErrors(() => read(text))
      expect([text.slice(0, 40), performance.now() - startMs < 20_000]).toEqual([text.slice(0, 40), true])
    }
  },
  600_000,
)

test('many entries of a map in protobuf', () => {
  const COUNT = 200_000
  const field = (number: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes])
  const entries = Array.from({ length: COUNT }, (_, index) => field(4, field(1, Buffer.from(index.toString(36)))))
  const raw = Buffer.concat(entries)
  const length = Buffer.from([0, 7, 14, 21].map((shift) => ((raw.length >> shift) & 127) | (shift < 21 ? 128 : 0)))
  const body = Buffer.concat([Buffer.from('k8s\0'), Buffer.from([2 * 8 + 2]), length, raw])
  expect(Object.keys(readProtobuf(body, secrets)?.['stringData'] ?? {})).toHaveLength(COUNT)
}, 60_000)

test('many members of a list in a strategic merge patch', () => {
  const ports = Array.from({ length: 100_000 }, (_, port) => ({ port }))
  const patched = strategicMergePatch(
    { ports: ports.map(({ port }) => ({ port, name: 'x' })) },
    { ports: [...ports, { port: -1 }] },
  )
  expect(patched['ports']).toHaveLength(100_001)
}, 60_000)
