import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  attributeOid,
  commonName,
  type DistinguishedName,
  formatRfc4514,
  parseAnnouncedSubject,
  parseConcatenated,
  parseRfc4514,
  isSubjectAskedFor,
} from '../../src/pki/distinguished-name.js'

const types = ['CN', 'O', 'OU', 'L', 'ST', 'C', 'DC', 'UID', 'emailAddress', 'serialNumber', '1.2.840.113549.1.9.2']
const announced = ['O', 'OU', 'L', 'ST', 'C', 'CN'] as const

const special = fc.constantFrom(' ', '#', ',', '+', '"', '\\', '<', '>', ';', '=', '\0', '\n', '\x7f', 'é', '漢', '😀')
/** Any text that UTF-8 can carry, the characters that need escaping among them more often than chance has it. */
const value = fc
  .array(fc.oneof(special, fc.string({ unit: 'grapheme', maxLength: 3 })), {
    maxLength: 8,
  })
  .map((pieces) => pieces.join(''))
const attribute = fc.record({ type: fc.constantFrom(...types), value })
const name = fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 7 })

/** A name as the services write it, whatever the values hold: they escape nothing. */
const concatenable = fc
  .tuple(...announced.map(() => value))
  .map((values) => announced.map((type, index) => ({ type, value: values[index] ?? '' })))
const concatenate = (parts: readonly { type: string; value: string }[]): string =>
  parts.map((part) => `${part.type}=${part.value}`).join(',')
/** Whether a name can be read back: without escapes, a value that contains a separator and a type is ambiguous. */
const isClear = (parts: readonly { value: string }[]): boolean =>
  parts.every((part) => !/,(OU|ST|CN|O|L|C)=/.test(part.value))

const one = (type: string, text: string): DistinguishedName[number] => [{ type, value: text }]

describe('a name as RFC 4514 writes it', () => {
  test('reads back as what was written: order, grouping and every character', () => {
    fc.assert(
      fc.property(name, (parts) => {
        expect(parseRfc4514(formatRfc4514(parts))).toEqual(parts)
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['CN=James \\"Jim\\" Smith\\, III', [one('CN', 'James "Jim" Smith, III')]],
    ['OU=Sales+CN=J. Smith,DC=example', [[...one('OU', 'Sales'), ...one('CN', 'J. Smith')], one('DC', 'example')]],
    ['CN=Lu\\C4\\8Di\\C4\\87', [one('CN', 'Lučić')]],
    ['CN=Before\\0dAfter', [one('CN', 'Before\rAfter')]],
    ['CN=\\ a\\ ', [one('CN', ' a ')]],
    ['CN=\\#1', [one('CN', '#1')]],
    ['CN=a\\\\', [one('CN', 'a\\')]],
    ['CN=a\\\\\\ ', [one('CN', 'a\\ ')]],
    ['CN=a=b', [one('CN', 'a=b')]],
    ['cn=lower', [one('cn', 'lower')]],
    ['2.5.4.3=dotted', [one('2.5.4.3', 'dotted')]],
    ['CN=', [one('CN', '')]],
  ])('%s', (text, expected) => {
    expect(parseRfc4514(text)).toEqual(expected)
  })

  test.each([
    ['nothing', ''],
    ['no type', '=a'],
    ['an unknown type', 'XYZ=a'],
    ['no equals sign', 'CN'],
    ['a comma at the end', 'CN=a,'],
    ['a blank after the comma', 'CN=a, O=b'],
    ['a blank in front', 'CN= a'],
    ['a blank behind', 'CN=a '],
    ['a blank behind an escaped backslash', 'CN=a\\\\ '],
    ['hex instead of text', 'CN=#0403'],
    ['a quote', 'CN="a"'],
    ['half an escape', 'CN=a\\'],
    ['an escape of nothing', 'CN=a\\z'],
    ['bytes that are not UTF-8', 'CN=\\ff'],
    ['a dotted type that is not an OID', '9.2=a'],
  ])('is refused with %s', (_, text) => {
    expect(parseRfc4514(text)).toBeUndefined()
  })
})

describe('a name as the services concatenate it, unescaped', () => {
  test('reads back as the six values, whatever they hold', () => {
    fc.assert(
      fc.property(concatenable.filter(isClear), (parts) => {
        expect(parseConcatenated(concatenate(parts))).toEqual(parts.map((part) => [part]))
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['O=Organization,OU=OrgUnit,L=Waldorf,ST=Waldorf,C=DE,CN=demo', 'demo', 'Organization'],
    ['OU=OrgUnit,O=Organization,L=Waldorf,ST=Waldorf,C=DE,CN=demo', 'demo', 'Organization'],
    ['O=Acme, Inc.,OU=a+b,L=Köln,ST="NRW",C=DE,CN=demo', 'demo', 'Acme, Inc.'],
    ['O=,OU=,L=,ST=,C=,CN=demo', 'demo', ''],
    ['O=a;b,OU=#1,L= ,ST=<>,C=DE,CN=x=y', 'x=y', 'a;b'],
  ])('%s', (text, cn, organization) => {
    const parsed = parseAnnouncedSubject(text)
    expect(parsed?.every((part) => part.length === 1)).toBe(true)
    expect(
      parsed
        ?.flat()
        .map(({ type }) => type)
        .sort(),
    ).toEqual([...announced].sort())
    expect(parsed && commonName(parsed)).toBe(cn)
    expect(parsed?.flat().find(({ type }) => type === 'O')?.value).toBe(organization)
  })

  test('may lack attributes, and is then read by the standard first', () => {
    expect(parseAnnouncedSubject('O=Acme\\, Inc.,CN=demo')).toEqual([one('O', 'Acme, Inc.'), one('CN', 'demo')])
    expect(parseAnnouncedSubject('O=Acme, Inc.,CN=demo')).toEqual([one('O', 'Acme, Inc.'), one('CN', 'demo')])
  })

  test.each(['', 'demo', ',CN=demo', 'x,CN=demo', '{"CN":"demo"}', 'FOO=bar'])('%j is not such a name', (text) => {
    expect(parseAnnouncedSubject(text)).toBeUndefined()
  })
})

describe('two names', () => {
  test('are the same whatever their order and grouping', () => {
    const plain = name.map((parts) => parts.map((part) => part.map(({ value }) => ({ type: 'OU', value }))))
    fc.assert(
      fc.property(plain, fc.nat(), (parts, turn) => {
        const flat = parts.flat()
        const at = turn % flat.length
        const shuffled = [...flat.slice(at), ...flat.slice(0, at)].reverse().map((item) => [item])
        expect(isSubjectAskedFor(parts, shuffled)).toBe(true)
        const [first, ...rest] = flat
        expect(isSubjectAskedFor(parts, [[{ type: 'OU', value: `${first?.value ?? ''}x` }], rest])).toBe(false)
      }),
    )
  })

  test('are the same without what the service drops, and however a type is spelled', () => {
    const asked = [one('CN', 'a'), one('emailAddress', 'x')]
    expect(isSubjectAskedFor([one('2.5.4.3', 'a')], asked)).toBe(true)
    expect(isSubjectAskedFor([one('2.5.4.3', 'a'), one('1.2.840.113549.1.9.1', 'x')], asked)).toBe(true)
  })

  test.each([
    ['another type', [one('O', 'a')]],
    ['another case', [one('CN', 'A')]],
    ['a value twice', [one('CN', 'a'), one('CN', 'a')]],
    ['an e-mail address that was not asked for', [one('CN', 'a'), one('emailAddress', 'x')]],
    ['an attribute of an unknown type', [one('CN', 'a'), one('1.2.3.4', 'x')]],
    ['another CN in one part with an unknown type', [one('CN', 'a'), [...one('CN', 'b'), ...one('1.2.3.4', 'x')]]],
  ])('are not the same with %s', (_, issued) => {
    expect(isSubjectAskedFor(issued, [one('CN', 'a')])).toBe(false)
  })
})

test('of several common names the last counts: it is the one the service compares', () => {
  expect(commonName([one('CN', 'first'), one('O', 'x'), one('cn', 'last')])).toBe('last')
  expect(commonName([one('O', 'x')])).toBeUndefined()
})

test('an attribute type has one OID, whatever its case', () => {
  expect(attributeOid('cn')).toBe('2.5.4.3')
  expect(attributeOid('EMAILADDRESS')).toBe('1.2.840.113549.1.9.1')
  expect(attributeOid('2.5.4.3')).toBe('2.5.4.3')
  expect(attributeOid('2.05.4')).toBeUndefined()
  expect(attributeOid('constructor')).toBeUndefined()
})
