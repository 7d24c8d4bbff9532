import type { KeyObject } from 'node:crypto'
import { KeyUnsuitableError, UsageError } from '../errors.js'
import { generateKey, isKeyAlgorithm, type KeyAlgorithm, keyAlgorithms, parseKey } from '../pki/key.js'
import type { Emit } from '../progress.js'

/** Where the private key of a pairing comes from. */
export interface KeySource {
  readonly kind: 'given' | 'generated'
  /**
   * Returns the key, once the announced algorithm is known.
   * @throws KeyUnsuitableError when the service announces EC keys and no other algorithm was requested
   */
  take(announced: string, emit: Emit): Promise<KeyObject>
}

/** The algorithm that nearly every cluster announces, and the fallback for an unknown one. */
const usualAlgorithm: KeyAlgorithm = 'rsa2048'

/**
 * A key that the user provides.
 * @param pem PKCS#1 or PKCS#8
 * @throws KeyUnsuitableError
 */
export function givenKey(pem: string, source: string): KeySource {
  const key = parseKey(pem, source)
  return { kind: 'given', take: () => Promise.resolve(key) }
}

/**
 * A newly generated key.
 * @param asked the requested algorithm; undefined: the announced one
 * @param usual an RSA 2048 key whose generation has already begun; it is used if that is the algorithm
 */
export function generatedKey(asked: KeyAlgorithm | undefined, usual?: Promise<KeyObject>): KeySource {
  return {
    kind: 'generated',
    take: async (announced, emit) => {
      const algorithm = asked ?? parseAnnounced(announced, emit)
      return algorithm === usualAlgorithm && usual !== undefined ? usual : generateKey(algorithm)
    },
  }
}

/** @throws UsageError for an unknown algorithm, and for EC with the reason */
export function parseKeyAlgorithm(name: string): KeyAlgorithm {
  if (isKeyAlgorithm(name)) return name
  const shown = JSON.stringify(name.slice(0, 40))
  const hints = [`choose one of ${keyAlgorithms.join(', ')}`]
  if (isElliptic(name)) {
    throw new UsageError(
      `--key-algorithm ${shown} is not supported: Kyma's CA key is RSA, and any other CSR fails with a 500`,
      { hints },
    )
  }
  throw new UsageError(`--key-algorithm ${shown} is unknown`, { hints })
}

function parseAnnounced(announced: string, emit: Emit): KeyAlgorithm {
  const name = announced.toLowerCase()
  if (isKeyAlgorithm(name)) return name
  if (isElliptic(name)) {
    throw new KeyUnsuitableError(
      `the service announces ${JSON.stringify(announced.slice(0, 40))} keys, which Kyma's Connector cannot sign: its CA key is RSA`,
      { hints: ['try an RSA key with a new token URL: kyconnect pair --key-algorithm rsa2048 --url -'] },
    )
  }
  emit({ type: 'warning', warning: 'unknown-key-algorithm', announced, used: usualAlgorithm })
  return usualAlgorithm
}

function isElliptic(name: string): boolean {
  return /^(?:ec|p-?\d|prime|secp|ed25519|ed448|x25519)/i.test(name)
}
