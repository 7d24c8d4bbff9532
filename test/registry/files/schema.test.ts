import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { validateService } from '../../../src/registry/files/validate-service.js'
import { serviceShape, type Shape } from '../../../src/registry/files/service-fields.js'

const schema: unknown = JSON.parse(
  readFileSync(new URL('../../../schema/service.schema.json', import.meta.url), 'utf8'),
)

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}

/** The schema of a part, with its reference followed. */
function followed(part: unknown): unknown {
  const reference = field(part, '$ref')
  return typeof reference === 'string'
    ? field(field(schema, 'definitions'), reference.replace('#/definitions/', ''))
    : part
}

/** The paths of all fields, with what the schema refers to for secrets. */
function fieldsOf(part: unknown, path = ''): string[] {
  const found = followed(part)
  if (field(part, '$ref') === '#/definitions/secret') return [`${path} secret`]
  const properties = field(found, 'properties')
  const items = field(found, 'items')
  return [
    path,
    ...(typeof properties === 'object' && properties !== null
      ? Object.entries(properties).flatMap(([name, one]) => fieldsOf(one, `${path}.${name}`))
      : []),
    ...(field(followed(items), 'properties') === undefined ? [] : fieldsOf(items, `${path}[]`)),
  ]
}

function fieldsOfShape({ role, fields, items }: Shape, path = ''): string[] {
  return [
    role === 'secret' ? `${path} secret` : path,
    ...[...(fields ?? [])].flatMap(([name, shape]) => fieldsOfShape(shape, `${path}.${name}`)),
    ...(items === undefined ? [] : fieldsOfShape(items, `${path}[]`)),
  ]
}

describe('schema/service.schema.json', () => {
  test('has the fields that the code names, and references where the code wants references', () => {
    expect(fieldsOf(schema).sort()).toEqual(fieldsOfShape(serviceShape).sort())
  })

  test.each([
    ['the label of the Registry', { labels: { 'connected-app': 'x' } }],
    ['a label of kyconnect', { labels: { 'kyconnect-set': 'x' } }],
    ['a set that ends with a hyphen', { set: 'shop-' }],
  ])('tells an editor about %s', (_, field) => {
    const service = { identifier: 'a', name: 'a', provider: 'a', description: 'a', events: { spec: {} } }
    expect(validateService({ ...service, labels: { 'connected-apps': 'x', team: 'x' }, set: 's' })).toBe(true)
    expect(validateService({ ...service, ...field })).toBe(false)
  })

  test('allows no other field in any mapping that has names', () => {
    const open: string[] = []
    const visit = (part: unknown, path: string): void => {
      if (typeof part !== 'object' || part === null) return
      const hasNames = field(part, 'type') === 'object' && typeof field(part, 'properties') === 'object'
      if (hasNames && field(part, 'additionalProperties') !== false) open.push(path)
      for (const [name, one] of Object.entries(part)) visit(one, `${path}/${name}`)
    }
    visit(schema, '')
    expect(open).toEqual([])
  })
})
