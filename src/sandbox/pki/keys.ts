import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const generate = promisify(generateKeyPair)

export const generateRsaKeys = (): Promise<KeyPair> => generate('rsa', { modulusLength: 2048 })
export const generateEcKeys = (): Promise<KeyPair> => generate('ec', { namedCurve: 'P-256' })

export const privateKeyPem = ({ privateKey }: KeyPair): string =>
  privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
