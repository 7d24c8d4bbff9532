import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { KeyUnsuitableError } from '../errors.js'

/** What a Connector can sign: its CA key is RSA, and an EC CSR gets a 500 (docs/contract.md §5). */
export const keyAlgorithms = ['rsa2048', 'rsa3072', 'rsa4096'] as const
export type KeyAlgorithm = (typeof keyAlgorithms)[number]

export function isKeyAlgorithm(text: string): text is KeyAlgorithm {
  return keyAlgorithms.some((algorithm) => algorithm === text)
}

const modulusBits: Readonly<Record<KeyAlgorithm, number>> = { rsa2048: 2048, rsa3072: 3072, rsa4096: 4096 }
const smallestModulus = 2048

/** Generates a private key in libuv's thread pool, so that nothing else has to wait. */
export async function generateKey(algorithm: KeyAlgorithm): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: modulusBits[algorithm] })
  return privateKey
}

/**
 * Reads a private key from PEM, PKCS#1 or PKCS#8.
 * @throws KeyUnsuitableError when it is encrypted, not an RSA key, or shorter than 2048 bits
 */
export function parseKey(pem: string, source: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) {
    throw new KeyUnsuitableError(`the key in ${source} is encrypted`, {
      hints: [`remove the passphrase from a copy that only you can read: openssl pkey -in ${source} -out plain.pem`],
    })
  }
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    // OpenSSL's message does not help here, and may quote the input.
    throw new KeyUnsuitableError(`${source} does not contain a private key in PEM (PKCS#1 or PKCS#8)`, {
      hints: ['generate one with: openssl genrsa -out key.pem 2048'],
    })
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new KeyUnsuitableError(
      `the key in ${source} is ${key.asymmetricKeyType ?? 'unknown'}, and Kyma signs RSA keys only: its CA key is RSA, and any other CSR fails with a 500`,
      { hints: ['generate an RSA key with: openssl genrsa -out key.pem 2048'] },
    )
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < smallestModulus) {
    throw new KeyUnsuitableError(`the key in ${source} has ${bits} bits; less than ${smallestModulus} is not safe`, {
      hints: ['generate a longer one with: openssl genrsa -out key.pem 2048'],
    })
  }
  return key
}

/** A private key as PKCS#8 PEM: the form in which it is stored. */
export function keyToPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** The public key as SubjectPublicKeyInfo DER, to compare keys with certificates. */
export function publicKeyDer(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return publicKey.export({ type: 'spki', format: 'der' })
}
