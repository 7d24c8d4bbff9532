import { expect, test } from 'vitest'
import { rewriteSwagger } from '../../src/sandbox/registry/swagger.js'

const HOST = 'app-demo-ID.kyma-integration.svc.cluster.local'
/** The document as the Registry shows it, without the members that each one gets. */
const rewritten = (document: object | string): string =>
  rewriteSwagger(typeof document === 'string' ? document : JSON.stringify(document), 'demo', 'ID')
    .replace('"schemes":["http"],"swagger":"2.0",', '')
    .replace(`"host":"${HOST}",`, '')

test('a Swagger 2.0 document points at the gateway inside the cluster afterwards', () => {
  const document = { swagger: '2.0', host: 'orders.example', basePath: '/v1', schemes: ['https'], paths: {} }
  expect(rewriteSwagger(JSON.stringify(document), 'demo', 'ID')).toBe(
    `{"schemes":["http"],"swagger":"2.0","host":"${HOST}","paths":{}}`,
  )
})

test.each([
  ['another version', { swagger: '1.2', host: 'x' }],
  ['OpenAPI', { openapi: '3.0.0', servers: [] }],
  ['a version that is a number', { swagger: 2 }],
  ['paths that are a string', { swagger: '2.0', paths: 'bad' }],
  ['a path that is a number', { swagger: '2.0', paths: { '/': 1 } }],
  ['a host that is a number', { swagger: '2.0', host: 1 }],
  ['schemes that are a string', { swagger: '2.0', schemes: 'http' }],
  ['an info that is an array', { swagger: '2.0', info: [] }],
  ['an array', []],
])('%s is left as it is', (_what, document) => {
  expect(rewriteSwagger(JSON.stringify(document), 'demo', 'ID')).toBe(JSON.stringify(document))
})

test.each([
  [
    'unknown keys, except x-*',
    { swagger: '2.0', foo: 1, 'x-bar': { b: 1, a: null } },
    '{"paths":null,"x-bar":{"a":null,"b":1}}',
  ],
  ['nulls and empty values', { swagger: '2.0', info: null, id: '', tags: [], definitions: {} }, '{"paths":null}'],
  [
    'paths without a leading slash',
    { swagger: '2.0', paths: { a: {}, '/b': {}, 'x-c': 1 } },
    '{"paths":{"x-c":1,"/b":{}}}',
  ],
  ['keys in another case', '{"SWAGGER":"2.0","Paths":{}}', '{"paths":{}}'],
  ['the earlier of two keys', '{"swagger":"2.0","id":"a","id":"b"}', '{"id":"b","paths":null}'],
])('the Registry drops or changes %s', (_what, document, expected) => {
  expect(rewritten(document)).toBe(expected)
})

test('an operation keeps what the structure knows, in its order', () => {
  const get = {
    responses: { 404: { description: '' }, 200: { description: 'ok', 'x-a': 1 }, other: {}, default: {} },
    baz: 1,
    deprecated: false,
    parameters: [{ name: 'q', in: 'query', required: true, type: 'string', maxLength: 0 }],
    'x-z': 1,
    tags: ['t'],
  }
  expect(rewritten({ swagger: '2.0', paths: { '/a': { get, summary: 'x' } } })).toBe(
    '{"paths":{"/a":{"get":{"tags":["t"],' +
      '"parameters":[{"maxLength":0,"type":"string","name":"q","in":"query","required":true}],' +
      '"responses":{"200":{"description":"ok","x-a":1},"404":{"description":""},"default":{"description":""}},"x-z":1}}}}',
  )
})

test('a schema keeps unknown keys, too', () => {
  const A = {
    properties: { b: { type: ['string', 'null'], minimum: 0 } },
    additionalProperties: false,
    foo: [1.0],
    type: 'object',
  }
  expect(rewritten({ swagger: '2.0', paths: {}, definitions: { A } })).toBe(
    '{"paths":{},"definitions":{"A":{"type":"object","properties":{"b":{"type":["string","null"],"minimum":0}},' +
      '"additionalProperties":false,"foo":[1]}}}',
  )
})

test('a document nested as deeply as the parser allows is rewritten', () => {
  const depth = 300
  const schema = '{"properties":{"a":'.repeat(depth) + '{}' + '}}'.repeat(depth)
  expect(rewritten(`{"swagger":"2.0","definitions":{"A":${schema}}}`)).toContain(schema)
})
