import type { KeyObject } from 'node:crypto'
import { KeyUnsuitableError, UsageError } from '../errors.js'
import { generateKey, isKeyAlgorithm, type KeyAlgorithm, keyAlgorithms, parseKey } from '../pki/key.js'
import type { Emit } from '../progress.js'

/** Which key a pairing uses: one of the user's own, or one that is made, of the algorithm asked for or announced. */
export type KeyChoice =
  | { readonly kind: 'announced' }
  | { readonly kind: 'algorithm'; readonly algorithm: KeyAlgorithm }
  | { readonly kind: 'given'; readonly key: KeyObject }

/** What can be asked for, to list in a usage text. */
export { keyAlgorithms }

/** The algorithm of nearly every cluster, and what an unknown announcement falls back to. */
const usualAlgorithm: KeyAlgorithm = 'rsa2048'

/** @throws UsageError with the reason, for EC too */
export function keyOfAlgorithm(name: string): KeyChoice {
  if (isKeyAlgorithm(name)) return { kind: 'algorithm', algorithm: name }
  if (isElliptic(name)) {
    throw new UsageError(
      `--key-algorithm ${JSON.stringify(name.slice(0, 40))}: Kyma cannot sign such a key, its CA key is RSA and any other CSR fails with a 500`,
      { hints: [`choose one of ${keyAlgorithms.join(', ')}`] },
    )
  }
  throw new UsageError(
    `--key-algorithm takes one of ${keyAlgorithms.join(', ')}, not ${JSON.stringify(name.slice(0, 40))}`,
  )
}

/**
 * @param pem PKCS#1 or PKCS#8
 * @throws KeyUnsuitableError
 */
export function keyOfFile(pem: string, source: string): KeyChoice {
  return { kind: 'given', key: parseKey(pem, source) }
}

/** The key, once it is known what the service announces. @throws KeyUnsuitableError when that is EC and nothing else was asked for */
export async function takeKey(
  choice: KeyChoice,
  announced: string,
  begun: Promise<KeyObject> | undefined,
  emit: Emit,
): Promise<KeyObject> {
  if (choice.kind === 'given') return choice.key
  const algorithm = choice.kind === 'algorithm' ? choice.algorithm : announcedAlgorithm(announced, emit)
  return algorithm === usualAlgorithm && begun !== undefined ? begun : generateKey(algorithm)
}

function announcedAlgorithm(announced: string, emit: Emit): KeyAlgorithm {
  const name = announced.toLowerCase()
  const shown = JSON.stringify(announced.slice(0, 40))
  if (isKeyAlgorithm(name)) return name
  if (isElliptic(name)) {
    throw new KeyUnsuitableError(
      `the service announces ${shown} keys, which Kyma's Connector cannot sign: its CA key is RSA`,
      { hints: ['try an RSA key with a new token URL: kyconnect pair --key-algorithm rsa2048 --url -'] },
    )
  }
  emit({ type: 'warning', warning: 'unknown-key-algorithm', announced, used: usualAlgorithm })
  return usualAlgorithm
}

function isElliptic(name: string): boolean {
  return /^(ec|p-?\d|prime|secp|ed25519|ed448|x25519)/i.test(name)
}
