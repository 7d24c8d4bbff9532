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

/** Makes a private key in libuv's thread pool: nothing else has to wait for the primes. */
export async function generateKey(algorithm: KeyAlgorithm): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: modulusBits[algorithm] })
  return privateKey
}

/**
 * Reads a private key from PEM, PKCS#1 or PKCS#8.
 * @throws KeyUnsuitableError when it is encrypted, no RSA key, or shorter than 2048 bits
 */
export function parseKey(pem: string, source: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) {
    throw new KeyUnsuitableError(`the key in ${source} is encrypted`, {
      hints: [`take the passphrase off a copy that only you can read: openssl pkey -in ${source} -out plain.pem`],
    })
  }
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    // OpenSSL's message does not help here, and may quote the input.
    throw new KeyUnsuitableError(`${source} holds no private key in PEM (PKCS#1 or PKCS#8)`, {
      hints: ['make one with: openssl genrsa -out key.pem 2048'],
    })
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new KeyUnsuitableError(
      `the key in ${source} is ${key.asymmetricKeyType ?? 'unknown'}, and Kyma signs RSA keys only: its CA key is RSA, and any other CSR fails with a 500`,
      { hints: ['make an RSA key with: openssl genrsa -out key.pem 2048'] },
    )
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < smallestModulus) {
    throw new KeyUnsuitableError(`the key in ${source} has ${bits} bits; less than ${smallestModulus} is not safe`, {
      hints: ['make a longer one with: openssl genrsa -out key.pem 2048'],
    })
  }
  return key
}

/** A private key as PKCS#8 PEM: the form it is stored in. */
export function keyToPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** The public half as SubjectPublicKeyInfo DER: what a certificate is compared by. */
export function publicKeyDer(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return publicKey.export({ type: 'spki', format: 'der' })
}
