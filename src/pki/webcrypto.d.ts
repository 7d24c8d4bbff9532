import type { webcrypto } from 'node:crypto'

/** The browser types that @peculiar's declarations use, bound to Node's. */
declare global {
  type Crypto = Omit<webcrypto.Crypto, 'CryptoKey'>
  type SubtleCrypto = webcrypto.SubtleCrypto
  type CryptoKey = webcrypto.CryptoKey
  type CryptoKeyPair = webcrypto.CryptoKeyPair
  type Algorithm = webcrypto.Algorithm
  type KeyAlgorithm = webcrypto.KeyAlgorithm
  type KeyUsage = webcrypto.KeyUsage
  type BufferSource = webcrypto.BufferSource
  type EcdsaParams = webcrypto.EcdsaParams
  type EcKeyGenParams = webcrypto.EcKeyGenParams
  type EcKeyImportParams = webcrypto.EcKeyImportParams
  type RsaHashedKeyGenParams = webcrypto.RsaHashedKeyGenParams
  type RsaHashedImportParams = webcrypto.RsaHashedImportParams
}
