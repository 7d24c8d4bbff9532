import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { KyconnectError } from '../../src/errors.js'
import { generateKey, isKeyAlgorithm, keyToPem, parseKey, publicKeyDer } from '../../src/pki/key.js'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

function refusal(pem: string): string {
  try {
    parseKey(pem, 'my.pem')
  } catch (error) {
    if (error instanceof KyconnectError) return `${error.message} / ${error.hints.join('; ')}`
    throw error
  }
  return 'taken'
}

describe('a key of the user', () => {
  test.each(['pkcs1', 'pkcs8'] as const)('is read as %s, and written as PKCS#8', (type) => {
    const key = parseKey(privateKey.export({ type, format: 'pem' }).toString(), 'my.pem')
    expect(keyToPem(key)).toBe(pkcs8)
    expect(publicKeyDer(key)).toEqual(publicKeyDer(privateKey))
  })

  test('may be longer than usual', () => {
    const { privateKey: long } = generateKeyPairSync('rsa', { modulusLength: 3072 })
    expect(refusal(keyToPem(long))).toBe('taken')
  })

  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const edwards = generateKeyPairSync('ed25519').privateKey
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const locked = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const

  test.each([
    ['elliptic', keyToPem(elliptic), 'is ec, and Kyma signs RSA keys only'],
    ['an Edwards curve', keyToPem(edwards), 'is ed25519, and Kyma signs RSA keys only'],
    ['too short', keyToPem(short), 'has 1024 bits'],
    ['encrypted (PKCS#8)', privateKey.export(locked).toString(), 'is encrypted'],
    ['encrypted (PKCS#1)', privateKey.export({ ...locked, type: 'pkcs1' }).toString(), 'is encrypted'],
    [
      'a public key',
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().replaceAll('PRIVATE', 'PUBLIC'),
      'does not contain a private key',
    ],
    ['empty', '', 'does not contain a private key in PEM'],
    ['cut off', pkcs8.slice(0, 400), 'does not contain a private key in PEM'],
  ])('is refused when it is %s: the file is named, its content is not', (_, pem, why) => {
    const said = refusal(pem)
    expect(said).toContain('my.pem')
    expect(said).toContain(why)
    expect(said).toMatch(/openssl (genrsa|pkey) /)
    for (const line of pem.split('\n').filter((text) => text.length > 40)) expect(said).not.toContain(line)
  })
})

test.each([
  ['rsa2048', 2048],
  ['rsa3072', 3072],
] as const)('%s is made with %i bits', async (algorithm, bits) => {
  expect((await generateKey(algorithm)).asymmetricKeyDetails?.modulusLength).toBe(bits)
})

test('an algorithm is one of three', () => {
  expect(['rsa2048', 'rsa3072', 'rsa4096', 'RSA2048', 'ec256', ''].filter(isKeyAlgorithm)).toEqual([
    'rsa2048',
    'rsa3072',
    'rsa4096',
  ])
})
