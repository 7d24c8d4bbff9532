// tsyringe, inside @peculiar/x509, throws at import without it.
import 'reflect-metadata'
import { Crypto as Provider } from '@peculiar/webcrypto'
import * as x509 from '@peculiar/x509'

/** The X.509 library with its crypto provider set: one chunk of the built program, loaded by x509.ts alone. */
export const crypto = new Provider()
x509.cryptoProvider.set(crypto)
export { x509 }
